// The page's words in both languages. {0}, {1} … are filled in.

const english = {
  shop: "Shop",
  skip: "Skip to the content",
  menu: "Main",
  language: "한국어",
  loading: "Loading",
  more: "Show more",
  refresh: "Refresh",
  total: "Total: {0}",
  line: "{0} × {1}",
  unnamed: "Product {0}",

  products: "Products",
  search: "Search",
  searchName: "Name contains",
  inStock: "Only what is in stock",
  noProducts: "No product matches.",
  stock: "{0} in stock",
  soldOut: "Sold out",
  quantity: "Quantity",
  add: "Add to basket",
  addNamed: "Add to basket: {0}",
  added: "In your basket: {0} × {1}",

  basket: "Basket ({0})",
  basketTitle: "Basket",
  emptyBasket: "Your basket is empty.",
  remove: "Remove",
  removeNamed: "Remove: {0}",
  removed: "Removed: {0}",
  placeOrder: "Place order",
  signInToOrder: "Sign in to order",
  ordered: "Your order is confirmed. Total: {0}",
  basketFull: "A basket holds 50 products, and 1,000 of each.",

  orders: "Orders",
  noOrders: "You have no orders yet.",
  orderOf: "Order of {0}",
  cancel: "Cancel order",
  cancelNamed: "Cancel order of {0}",
  confirmCancel: "Cancel this order?",
  cancelled: "The order is cancelled.",
  "status.pending": "Being decided",
  "status.confirmed": "Confirmed",
  "status.rejected": "Not accepted",
  "status.cancelled": "Cancelled",
  "status.fulfilled": "Fulfilled",

  notifications: "Notifications",
  noNotifications: "You have no notifications.",
  delete: "Delete",
  deleteNamed: "Delete: {0}, {1}",
  deleted: "The notification is deleted.",
  "type.order.confirmed": "Order confirmed",
  "type.order.rejected": "Order not accepted",
  "type.order.cancelled": "Order cancelled",
  "type.order.fulfilled": "Order fulfilled",

  signIn: "Sign in",
  register: "Register",
  signOut: "Sign out",
  signedIn: "Welcome, {0}.",
  signedOut: "You are signed out.",
  noAccount: "No account yet? Register",
  haveAccount: "You have an account? Sign in",
  email: "E-mail",
  password: "Password",
  name: "Name",
  passwordHint: "8 to 128 characters.",

  "field.email": "This is not an e-mail address that we can take.",
  "field.password": "It must have 8 to 128 characters.",
  "field.name": "It must have 1 to 100 characters.",

  "error.network": "The shop cannot be reached. Check your connection and try again.",
  "error.undecided": "No answer came, so the order may yet be confirmed. Place it again: it counts once. Or look at your orders.",
  "error.invalid_credentials": "E-mail or password is wrong.",
  "error.user_exists": "There is an account with this e-mail already. Sign in, or take another one.",
  "error.validation_error": "Something in the form is not right.",
  "error.missing_fields": "Fill in all fields.",
  "error.invalid_session": "Your session has ended. Sign in again.",
  "error.session_expired": "Your session has ended. Sign in again.",
  "error.too_many_attempts": "Too many attempts. Try again in {0} min.",
  "error.rate_limited": "Too many requests at once. Try again in a moment.",
  "error.insufficient_stock": "There is not enough in stock: {0}",
  "error.product_not_found": "Not for sale any more: {0}",
  "error.order_expired": "The order could not be decided in time. Place it again.",
  "error.not_cancellable": "This order cannot be cancelled any more.",
  "error.notification_not_found": "This notification is gone.",
  "error.service_unavailable": "This part of the shop is not available now. Try again later.",
  "error.other": "That did not work. Try again later; if you ask for help, name {0}.",
  left: "{0} (in stock: {1})",
  serverNotReached: "You are signed out here, but the shop was not reached: your session there ends within a day.",
};

const korean = {
  shop: "상점",
  skip: "본문으로 건너뛰기",
  menu: "주 메뉴",
  language: "English",
  loading: "불러오는 중",
  more: "더 보기",
  refresh: "새로 고침",
  total: "합계: {0}",
  line: "{1} {0}개",
  unnamed: "상품 {0}",

  products: "상품",
  search: "검색",
  searchName: "이름에 들어 있는 말",
  inStock: "재고가 있는 것만",
  noProducts: "맞는 상품이 없습니다.",
  stock: "재고 {0}개",
  soldOut: "품절",
  quantity: "수량",
  add: "장바구니에 담기",
  addNamed: "장바구니에 담기: {0}",
  added: "장바구니에 담았습니다: {1} {0}개",

  basket: "장바구니 ({0})",
  basketTitle: "장바구니",
  emptyBasket: "장바구니가 비어 있습니다.",
  remove: "빼기",
  removeNamed: "빼기: {0}",
  removed: "뺐습니다: {0}",
  placeOrder: "주문하기",
  signInToOrder: "로그인하고 주문하기",
  ordered: "주문이 확정되었습니다. 합계: {0}",
  basketFull: "장바구니에는 상품 50가지까지, 하나에 1,000개까지 담을 수 있습니다.",

  orders: "주문",
  noOrders: "아직 주문이 없습니다.",
  orderOf: "{0} 주문",
  cancel: "주문 취소",
  cancelNamed: "{0} 주문 취소",
  confirmCancel: "이 주문을 취소할까요?",
  cancelled: "주문을 취소했습니다.",
  "status.pending": "처리 중",
  "status.confirmed": "확정",
  "status.rejected": "거절됨",
  "status.cancelled": "취소됨",
  "status.fulfilled": "완료",

  notifications: "알림",
  noNotifications: "알림이 없습니다.",
  delete: "삭제",
  deleteNamed: "삭제: {0}, {1}",
  deleted: "알림을 삭제했습니다.",
  "type.order.confirmed": "주문이 확정되었습니다",
  "type.order.rejected": "주문이 거절되었습니다",
  "type.order.cancelled": "주문이 취소되었습니다",
  "type.order.fulfilled": "주문이 완료되었습니다",

  signIn: "로그인",
  register: "회원 가입",
  signOut: "로그아웃",
  signedIn: "{0} 님, 반갑습니다.",
  signedOut: "로그아웃했습니다.",
  noAccount: "계정이 없나요? 회원 가입",
  haveAccount: "계정이 있나요? 로그인",
  email: "이메일",
  password: "비밀번호",
  name: "이름",
  passwordHint: "8자에서 128자까지.",

  "field.email": "쓸 수 있는 이메일 주소가 아닙니다.",
  "field.password": "8자에서 128자까지여야 합니다.",
  "field.name": "1자에서 100자까지여야 합니다.",

  "error.network": "상점에 연결할 수 없습니다. 연결을 확인하고 다시 시도해 주세요.",
  "error.undecided": "답이 오지 않아 주문이 확정될 수도 있습니다. 다시 주문해도 한 번만 처리됩니다. 주문 목록도 확인해 보세요.",
  "error.invalid_credentials": "이메일이나 비밀번호가 틀립니다.",
  "error.user_exists": "이미 가입된 이메일입니다. 로그인하거나 다른 이메일을 쓰세요.",
  "error.validation_error": "입력한 내용에 잘못된 것이 있습니다.",
  "error.missing_fields": "빈칸을 모두 채워 주세요.",
  "error.invalid_session": "세션이 끝났습니다. 다시 로그인해 주세요.",
  "error.session_expired": "세션이 끝났습니다. 다시 로그인해 주세요.",
  "error.too_many_attempts": "시도가 너무 많습니다. {0}분 뒤에 다시 시도해 주세요.",
  "error.rate_limited": "요청이 너무 많습니다. 잠시 뒤에 다시 시도해 주세요.",
  "error.insufficient_stock": "재고가 모자랍니다: {0}",
  "error.product_not_found": "더는 팔지 않습니다: {0}",
  "error.order_expired": "주문을 제때 처리하지 못했습니다. 다시 주문해 주세요.",
  "error.not_cancellable": "이 주문은 더는 취소할 수 없습니다.",
  "error.notification_not_found": "이미 없는 알림입니다.",
  "error.service_unavailable": "지금은 이 기능을 쓸 수 없습니다. 나중에 다시 시도해 주세요.",
  "error.other": "처리하지 못했습니다. 나중에 다시 시도해 주세요. 문의할 때는 {0} 번호를 알려 주세요.",
  left: "{0} (재고 {1}개)",
  serverNotReached: "여기서는 로그아웃했지만 상점에 연결하지 못했습니다. 상점의 세션은 하루 안에 끝납니다.",
};

const LANGUAGES = { en: english, ko: korean };

let language = sessionStorage.getItem("language") ?? (navigator.language.startsWith("ko") ? "ko" : "en");

/** Return the page's language, "en" or "ko". */
export const currentLanguage = () => language;

/** Change to the other language, for as long as this tab is open. */
export function switchLanguage() {
  language = language === "ko" ? "en" : "ko";
  sessionStorage.setItem("language", language);
}

/** Return true if there is a text of this name. */
export const hasText = (name) => name in english;

/** Return a text in the page's language. */
export function text(name, ...values) {
  return LANGUAGES[language][name].replace(/\{(\d)\}/g, (_, number) => values[number]);
}

/** Return an amount of money; the API names no currency. */
export const money = (amount) => new Intl.NumberFormat(language, { minimumFractionDigits: 2 }).format(amount);

/** Return a time in the reader's own zone. */
export function time(iso) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));
}
