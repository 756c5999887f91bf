/** Texts of the account's page and its dialog. */

export const TEXTS = {
  ko: {
    name: "이름",
    role: "권한",
    admin: "관리자",
    leave: "계정 탈퇴",
    leaveButton: "탈퇴하기…",
    effects: [
      "탈퇴하면 바로 로그아웃되고, 이 계정으로는 글쓰기, 수정, 삭제, 좋아요를 더 할 수 없습니다.",
      "쓴 글은 지워지지 않고 그대로 남습니다. 지우고 싶은 글은 탈퇴하기 전에 ‘내 글’에서 삭제하세요.",
      "탈퇴를 되돌리려면 관리자에게 문의해야 합니다.",
    ],
    word: "탈퇴",
    confirm: "확인을 위해 ‘탈퇴’라고 입력하세요",
    mistyped: "‘탈퇴’라고 입력해야 합니다.",
    confirmButton: "탈퇴하기",
    left: "탈퇴했습니다. 그동안 이용해 주셔서 고맙습니다.",
  },
  en: {
    name: "Name",
    role: "Role",
    admin: "Admin",
    leave: "Leave the board",
    leaveButton: "Leave…",
    effects: [
      "You are signed out at once, and this account can no longer write, edit, delete or like.",
      "Your posts stay as they are. Those that should go, delete in “My posts” before you leave.",
      "Only a moderator can undo this.",
    ],
    word: "leave",
    confirm: "Type “leave” to confirm",
    mistyped: "This must be “leave”.",
    confirmButton: "Leave",
    left: "You have left the board. Thank you for your time here.",
  },
};
