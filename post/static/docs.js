// A file of its own: the page's Content-Security-Policy allows no inline script.
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/api/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    persistAuthorization: true,
    validatorUrl: null,
    requestInterceptor: withFilesAlone,
  });
});

// Where no file is chosen, Swagger UI sends text in its place; all parts of this API's forms are files.
function withFilesAlone(request) {
  if (request.body instanceof FormData) {
    const files = [...request.body].filter(([, value]) => value instanceof File);
    request.body = new FormData();
    files.forEach(([name, file]) => request.body.append(name, file));
  }
  return request;
}
