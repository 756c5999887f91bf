// CloudFront Function on the viewer's response of the behaviour /api/*. API Gateway renames the WWW-Authenticate of a
// Lambda's answer; a 401 without it is no challenge (RFC 9110, 15.5.2).
function handler(event) {
    var headers = event.response.headers;
    var challenge = headers['x-amzn-remapped-www-authenticate'];
    if (challenge) {
        headers['www-authenticate'] = challenge;
        delete headers['x-amzn-remapped-www-authenticate'];
    }
    return event.response;
}
