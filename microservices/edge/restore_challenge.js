// Lambda@Edge on the origin's response of the behaviour /api/*. API Gateway renames the WWW-Authenticate of a Lambda's
// answer; a 401 without it is no challenge (RFC 9110, 15.5.2). CloudFront runs no function for a viewer's response
// from 400 on, so a CloudFront Function would never see one.
exports.handler = async (event) => {
    const { response } = event.Records[0].cf;
    const challenge = response.headers['x-amzn-remapped-www-authenticate'];
    if (challenge) {
        response.headers['www-authenticate'] = challenge.map(({ value }) => ({ key: 'WWW-Authenticate', value }));
        delete response.headers['x-amzn-remapped-www-authenticate'];
    }
    return response;
};
