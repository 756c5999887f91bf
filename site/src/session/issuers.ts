/** The issuer that the configuration names. */

import type { Config } from "../config";
import type { Issuer } from "./issuer";
import { localIssuer } from "./local";

export function issuerFor(config: Config): Issuer {
  return localIssuer(config.api, sessionStorage);
}
