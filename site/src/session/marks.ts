/** Places that the start of a page looks at before it loads an issuer's code. */

/** Key in the tab's storage: somebody was signed in here. With the local issuer it holds their name. */
export const MARK = "board.user";

/** Path to which Cognito's page sends the browser back. */
export const CALLBACK = "/signed-in";
