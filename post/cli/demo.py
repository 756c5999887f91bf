"""Demo data: a Korean community board, made up from a seed and the same for it every time."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from post.utils import fold_case

Row = dict[str, Any]

# The data ends here rather than now, so that a seed gives the same rows on any day.
REFERENCE = datetime(2026, 11, 1)  # noqa: DTZ001 - naive and in UTC, as the tables store times
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - likewise
REFERENCE_MS = (REFERENCE - EPOCH) // timedelta(milliseconds=1)
HOUR_MS = 3_600_000
SPAN_MS = 2 * 365 * 24 * HOUR_MS
START_MS = REFERENCE_MS - SPAN_MS
GROWTH = 0.7  # below 1: the board grows, so that more posts lie near its end

USERS_MIN, USERS_MAX = 60, 20_000
POSTS_PER_USER = 8
DECKS_PER_TOPIC = 6
STATUSES = ("visible", "hidden", "deleted")
STATUS_WEIGHTS = (0.95, 0.98, 1.0)  # cumulative
EDITED_SHARE = 0.12

# In the order of how much they are used.
CATEGORIES = {
    "일반": ("주말 계획", "출근길 풍경", "동네 산책", "요즘 날씨", "새해 목표", "이사 준비"),
    "맛집": ("성수동 파스타집", "을지로 노포", "연남동 카페", "부산 돼지국밥", "전주 비빔밥", "집 앞 떡볶이"),
    "여행": ("제주도 일주", "강릉 당일치기", "경주 한옥 숙소", "오사카 자유여행", "부산 야경", "여수 밤바다"),
    "개발": ("파이썬 비동기 코드", "쿠버네티스 배포", "코드 리뷰 문화", "SQL 튜닝", "이직 준비", "사이드 프로젝트"),
    "질문": ("노트북 고르기", "전세 계약", "영어 회화 공부", "자격증 시험", "공기청정기 필터", "퇴직연금 상품"),
    "운동": ("아침 러닝", "헬스장 등록", "주말 등산", "수영 강습", "필라테스", "한강 자전거"),
    "게임": ("신작 RPG", "보드게임 모임", "콘솔 패드 설정", "인디 게임", "레이드 공략", "추억의 오락실"),
    "영화·드라마": ("주말 드라마", "독립 영화", "심야 상영", "넷플릭스 신작", "한국 스릴러", "애니메이션 극장판"),
    "반려동물": ("고양이 사료", "강아지 산책", "동물병원 진료비", "고양이 화장실", "유기견 입양", "햄스터 집 꾸미기"),
    "요리": ("김치찌개 레시피", "에어프라이어 요리", "도시락 반찬", "홈베이킹", "제철 나물", "자취생 한 끼"),
    "육아": ("이유식 준비", "어린이집 적응", "아이 수면 교육", "주말 체험 학습", "그림책 읽기", "육아 휴직"),
    "재테크": ("적금 만기", "가계부 정리", "연금저축", "월급 관리", "배당 투자", "청약 통장"),
    "취미": ("필름 카메라", "뜨개질", "식물 키우기", "캘리그래피", "레고 조립", "기타 연습"),
    "음악": ("여름 페스티벌", "인디 밴드 공연", "재즈 플레이리스트", "LP 수집", "아이돌 신곡", "피아노 독학"),
    "독서": ("단편 소설집", "독서 모임", "전자책 단말기", "동네 책방", "역사책 추천", "밤샘 추리 소설"),
    "IT기기": ("무선 이어폰", "기계식 키보드", "태블릿 필기", "휴대폰 배터리", "모니터 암", "홈 네트워크"),
}
# No particle that depends on the last sound of the word (을/를, 이/가) stands after a {topic}.
TITLES = (
    "{topic} 후기 남겨요", "{topic} 추천 부탁드립니다", "{topic} 관련해서 질문 있어요", "{topic} 어떻게 생각하세요?",
    "{topic}, 처음인데 조언 구합니다", "요즘 {topic} 때문에 고민이에요", "{topic} {n}개월 차의 솔직한 이야기",
    "{topic}에서 놓치기 쉬운 {n}가지", "{n}년 만에 다시 {topic}", "{topic}에 대해 알아 두면 좋은 점",
    "오늘의 {topic} 기록", "{topic} 비용, 얼마나 드세요?", "[정보] {topic} 정리해 봤습니다", "[잡담] {topic} 이야기",
    "혹시 {topic} 잘 아시는 분 계신가요?", "저만 {topic} 어렵나요 ㅠㅠ", "{topic} 장단점 비교 ({n}가지)",
    "드디어 {topic}! 두근두근하네요", "[질문] {topic}, 뭐부터 시작하면 될까요?", "{topic} 덕분에 행복했던 하루",
)  # fmt: skip
OPENINGS = (
    "안녕하세요, 늘 눈팅만 하다가 처음으로 글을 남겨 봅니다.", "오랜만에 들러서 {topic} 이야기를 적어 봅니다.",
    "다들 {topic} 어떻게 하고 계신지 궁금해서 글 올려요.", "지난주부터 {topic} 생각이 머리에서 떠나질 않네요.",
    "{topic} 관련 글이 많지 않은 것 같아서 제 경험을 공유합니다.", "퇴근하고 커피 한잔하면서 써 보는 글입니다.",
    "결론부터 말씀드리면 {topic}, 저는 대만족이었습니다.", "요 며칠 {topic} 때문에 검색만 몇 시간을 했는지 몰라요.",
    "친구가 하도 권해서 {topic}에 관심을 갖게 되었습니다.", "지난번 글에 댓글 주신 분들 덕분에 용기를 냈습니다.",
)  # fmt: skip
SENTENCES = (
    "처음에는 별 기대가 없었는데 생각보다 훨씬 괜찮았습니다.", "가격은 조금 올랐지만 그만한 값을 한다고 느꼈어요.",
    "주말에는 사람이 많으니 평일 오전을 노려 보시길 권합니다.", "주변에 물어보니 의견이 반반으로 갈리더라고요.",
    "{topic}에는 정답이 없다는 말이 이제야 이해가 됩니다.", "사진을 많이 찍어 두지 못한 것이 지금도 아쉽네요.",
    "검색해서 나오는 글은 광고가 많아 걸러서 보셔야 합니다.", "저는 {n}번 정도 실패한 다음에야 감을 잡았어요.",
    "시간이 지나고 보니 그때의 선택이 옳았던 것 같습니다.", "가족들도 처음엔 말렸지만 지금은 더 좋아합니다.",
    "{topic} 덕분에 하루가 조금 더 즐거워졌다고 할까요.", "무엇보다 꾸준히 하는 것이 가장 어려운 일이었습니다.",
    "예산은 {n}만 원 정도로 잡으면 넉넉하실 거예요.", "한 달쯤 지나니 눈에 보이는 변화가 생기기 시작했습니다.",
    "비 오는 날에는 분위기가 또 달라서 색다른 맛이 있어요.", "작은 차이 같아도 매일 쌓이면 무시할 수 없더군요.",
    "{topic} 쪽은 유행이 빨라서 작년 정보가 안 맞기도 합니다.", "설명서를 꼼꼼히 읽는 것만으로도 절반은 해결됩니다.",
    "솔직히 말하면 중간에 그만둘까 하는 생각도 여러 번 했어요.", "그래도 함께하는 사람들이 있어서 버틸 수 있었습니다.",
    "문의해 보니 담당자분이 아주 친절하게 알려 주셨습니다.", "집에서 {n}분 거리라 부담 없이 다녀올 수 있었어요.",
    "아이와 함께라면 미리 예약하고 가시는 편이 좋겠습니다.", "생각지도 못한 곳에서 도움을 받아 무사히 끝냈습니다.",
    "여러 가지를 비교해 봤는데 결국 기본이 제일 낫더라고요.", "초보자라면 비싼 장비부터 살 필요는 전혀 없습니다.",
    "저처럼 성격이 급한 분에게는 조금 답답할 수도 있어요.", "다음에는 {n}명 정도 모여서 같이 해 보려고 합니다.",
    "{topic} 이야기만 나오면 밤새 떠들 수 있을 것 같아요.", "예전에 비하면 정말 많이 편해졌다는 걸 새삼 느낍니다.",
    "단점이라면 기다리는 시간이 생각보다 길다는 점입니다.", "계절이 바뀔 때마다 새로운 재미를 발견하게 되네요.",
    "참고로 할인 기간은 이번 달 {n}일까지라고 합니다.", "영수증은 꼭 챙겨 두세요, 나중에 확인할 일이 생깁니다.",
    "후기를 {n}개쯤 읽어 보고 나서야 겨우 마음을 정했습니다.", "기대가 크면 실망도 크다지만 이번만큼은 예외였어요.",
    "어릴 적 추억이 떠올라서 잠시 마음이 따뜻해졌습니다.", "조금 번거롭더라도 처음부터 제대로 배우는 걸 추천해요.",
    "{topic} 하나 바꿨을 뿐인데 생활이 꽤 달라졌습니다.", "저의 짧은 경험이니 참고만 해 주시면 감사하겠습니다.",
)  # fmt: skip
CLOSINGS = (
    "긴 글 읽어 주셔서 감사합니다.", "여러분 의견도 댓글로 들려주세요!", "다들 좋은 하루 보내세요 :)",
    "더 좋은 방법을 아시는 분은 꼭 알려 주세요.", "다음에 또 소식 전하겠습니다.", "도움이 되셨다면 좋아요 부탁드려요!",
    "궁금한 점은 편하게 물어봐 주세요.", "그럼 이만 줄이겠습니다. 모두 건강하세요.",
)  # fmt: skip
ADJECTIVES = (
    "배고픈", "졸린", "용감한", "수줍은", "부지런한", "느긋한", "새침한", "반짝이는", "엉뚱한", "다정한", "씩씩한",
    "조용한", "명랑한", "푸른", "따뜻한", "행복한", "심심한", "똑똑한", "날쌘", "포근한", "우아한", "노래하는",
)  # fmt: skip
NOUNS = (
    "고양이", "강아지", "너구리", "다람쥐", "펭귄", "부엉이", "수달", "고래", "호랑이", "토끼", "감자", "고구마",
    "복숭아", "만두", "떡볶이", "구름", "바람", "별빛", "나무늘보", "여우", "고슴도치", "두루미", "해바라기", "도토리",
)  # fmt: skip


class DemoPost(NamedTuple):
    """
    A post with its likes, as rows to insert.

    Attributes:
        row: Columns of ``posts`` but ``No`` and ``category_id``, which the database knows.
        likes: Rows of ``likes``, each by another user.
    """

    row: Row
    likes: list[Row]


class _User(NamedTuple):
    user_id: str
    username: str


class _Topic(NamedTuple):
    category: str
    name: str
    openings: list[str]
    decks: list[list[str]]


def demo_categories(seed: int) -> list[Row]:
    """
    Make up the categories.

    Args:
        seed: As for ``demo_posts``.

    Returns:
        Rows of ``categories``, the most used first.
    """
    rng = _random(seed)
    created_at = _moment(START_MS)
    return [
        {"id": _id(START_MS, rng), "name": name, "name_key": fold_case(name), "created_at": created_at}
        for name in CATEGORIES
    ]


def first_post_id(seed: int) -> str:
    """Return the id of a seed's first post, which is the same for every number of posts."""
    return _id(START_MS, _ids(seed))


def demo_posts(count: int, seed: int) -> Iterator[DemoPost]:
    """
    Make up posts over the two years before ``REFERENCE``.

    Args:
        count: How many, at least 1.
        seed: What all chance comes from, 0 or more.

    Yields:
        Posts with their likes, by rising ``created_at`` and ``id``.
    """
    return _Writer(count, seed).posts()


class _Writer:
    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._rng = rng = _random(seed)
        self._ids = _ids(seed)
        self._users = _users(rng, min(USERS_MAX, max(USERS_MIN, count // POSTS_PER_USER)))
        self._activity = _zipf(len(self._users), 0.7)
        self._topics = [[_topic(rng, category, name) for name in names] for category, names in CATEGORIES.items()]
        self._popularity = _zipf(len(self._topics), 1.0)

    def posts(self) -> Iterator[DemoPost]:
        for index in range(self._count):
            yield self._post(self._created_ms(index))

    def _created_ms(self, index: int) -> int:
        # Each post has a slot of time, and leaves its end free: no two share a millisecond.
        share = (index + 0.9 * self._rng.random()) / self._count if index else 0
        return START_MS + int(SPAN_MS * share**GROWTH)

    def _post(self, created_ms: int) -> DemoPost:
        rng = self._rng
        post_id = _id(created_ms, self._ids)
        author = rng.choices(self._users, cum_weights=self._activity)[0]
        topic = rng.choice(rng.choices(self._topics, cum_weights=self._popularity)[0])
        status = rng.choices(STATUSES, cum_weights=STATUS_WEIGHTS)[0]
        likes = self._likes(post_id, created_ms)
        row = {
            "id": post_id,
            "username": author.username,
            "user_id": author.user_id,
            "category": topic.category,
            "title": rng.choice(TITLES).format(topic=topic.name, n=rng.randint(2, 9)),
            "content": self._content(topic),
            "view_count": len(likes) + int((len(likes) + 1) * rng.lognormvariate(2.6, 1.0)),
            "like_count": len(likes),
            "comment_count": 0,
            "status": status,
            "created_at": _moment(created_ms),
            "updated_at": _moment(self._updated_ms(created_ms, status)),
        }
        return DemoPost(row, likes)

    def _content(self, topic: _Topic) -> str:
        rng = self._rng
        length = int(rng.lognormvariate(1.53, 0.75))
        paragraphs, more = rng.sample(topic.decks, 2)
        if length > len(paragraphs):
            paragraphs = paragraphs + more
        body = rng.sample(paragraphs, min(length, len(paragraphs)))
        return "\n\n".join([rng.choice(topic.openings), *body, rng.choice(CLOSINGS)])

    def _updated_ms(self, created_ms: int, status: str) -> int:
        if status == "visible" and self._rng.random() >= EDITED_SHARE:
            return created_ms
        return self._later(created_ms, mean_hours=30)

    def _likes(self, post_id: str, created_ms: int) -> list[Row]:
        count = min(len(self._users), int(self._rng.lognormvariate(-0.2, 1.5)))
        return [self._like(post_id, user, created_ms) for user in self._rng.sample(self._users, count)]

    def _like(self, post_id: str, user: _User, posted_ms: int) -> Row:
        liked_ms = self._later(posted_ms, mean_hours=20)
        return {
            "id": _id(liked_ms, self._ids),
            "post_id": post_id,
            "user_id": user.user_id,
            "created_at": _moment(liked_ms),
        }

    def _later(self, moment_ms: int, *, mean_hours: int) -> int:
        return min(REFERENCE_MS, moment_ms + 1 + int(self._rng.expovariate(1 / (mean_hours * HOUR_MS))))


def _ids(seed: int) -> Random:
    # Apart from what draws the texts, which draws more or less for another number of posts.
    return _random(_random(seed).getrandbits(64))


def _random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - nothing here is secret


def _id(moment_ms: int, rng: Random) -> str:
    """Return a UUIDv7 in hex: 48 bits of time, version, 12 random bits, variant, 62 more (RFC 9562, 5.7)."""
    chance = rng.getrandbits(74)
    return f"{moment_ms << 80 | 7 << 76 | chance >> 62 << 64 | 2 << 62 | chance & (1 << 62) - 1:032x}"


def _moment(moment_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=moment_ms)


def _zipf(size: int, exponent: float) -> list[float]:
    """Return cumulative weights that fall with the rank."""
    return list(accumulate(rank**-exponent for rank in range(1, size + 1)))


def _users(rng: Random, count: int) -> list[_User]:
    names = [adjective + noun for adjective in ADJECTIVES for noun in NOUNS]
    rng.shuffle(names)
    return [_User(_sub(rng), _numbered(names[index % len(names)], index // len(names))) for index in range(count)]


def _sub(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _numbered(name: str, number: int) -> str:
    return f"{name}{number}" if number else name


def _topic(rng: Random, category: str, name: str) -> _Topic:
    # Made once for all posts of the topic: a post then costs no more than joining a few paragraphs.
    openings = [text.format(topic=name) for text in OPENINGS]
    return _Topic(category, name, openings, [_deck(rng, name) for _ in range(DECKS_PER_TOPIC)])


def _deck(rng: Random, topic: str) -> list[str]:
    """Return paragraphs that share no sentence, so that a post made of them does not repeat itself."""
    sentences = rng.sample(SENTENCES, len(SENTENCES))
    paragraphs = []
    while sentences:
        size = rng.randint(2, 5)
        paragraphs.append(" ".join(sentences[:size]).format(topic=topic, n=rng.randint(2, 9)))
        sentences = sentences[size:]
    return paragraphs
