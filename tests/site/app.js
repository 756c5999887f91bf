// A page of the board in React, as a site of another origin has it: index.html?api=ADDRESS&token=TOKEN&post=ID
const { createElement: e, useEffect, useState } = React;
const { api, token, post: postId } = Object.fromEntries(new URLSearchParams(location.search));
const POST = `${api}/api/v1/posts/${postId}`;

async function call(url, options = {}) {
  const headers = {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/json",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ...options.headers,
  };
  const response = await fetch(url, { ...options, headers });
  return { response, body: await response.json() };
}

function Post() {
  const [post, setPost] = useState(null);
  const [version, setVersion] = useState("");
  const [title, setTitle] = useState("");
  const [message, setMessage] = useState("");
  const [left, setLeft] = useState("");

  async function read() {
    const { response, body } = await call(POST);
    setPost(body.data);
    setTitle(body.data.title);
    setVersion(response.headers.get("ETag"));
  }

  async function like() {
    const { response, body } = await call(`${POST}/like`, { method: "POST" });
    setPost({ ...post, is_liked: body.data.is_liked, like_count: body.data.like_count });
    setLeft(response.headers.get("RateLimit-Remaining"));
  }

  async function save() {
    const headers = { "If-Match": version };
    const { response, body } = await call(POST, { method: "PATCH", headers, body: JSON.stringify({ title }) });
    setMessage(body.message);
    if (response.ok) await read();
  }

  useEffect(() => void read(), []);
  if (!post) return e("p", null, "…");
  return e(
    "article",
    null,
    e("h1", null, post.title),
    ...post.media_files.map((file) => e("img", { key: file.id, src: file.url, alt: file.file_name })),
    e("button", { onClick: like }, `${post.is_liked ? "♥" : "♡"} ${post.like_count}`),
    e("span", { id: "left" }, left),
    e("input", { value: title, onChange: (event) => setTitle(event.target.value) }),
    e("button", { onClick: save }, "저장"),
    e("p", { role: "status" }, message),
  );
}

ReactDOM.createRoot(document.getElementById("root")).render(e(Post));
