// CloudFront Function on the viewer's request of the behaviour /api/*. The origin's paths have no /api; who the viewer
// is, and that a request has an id, the edge alone says.
function handler(event) {
    var request = event.request;
    if (request.uri.startsWith('/api/')) {
        request.uri = request.uri.slice('/api'.length);
    }
    var given = request.headers['x-request-id'];
    var id = given && /^[A-Za-z0-9_-]{1,64}$/.test(given.value) ? given.value : event.context.requestId.replace(/=/g, '');
    request.headers['x-request-id'] = { value: id };
    request.headers['x-viewer-address'] = { value: event.viewer.ip };
    return request;
}
