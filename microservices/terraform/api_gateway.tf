# Limits of the REST API's stage, by method path: requests a second, and how many may come at once. The local gateway
# keeps them where PLATFORM_THROTTLE=1.

locals {
  throttle = {
    "*/*"                  = { rate_limit = 100, burst_limit = 200 }
    "auth/register/POST"   = { rate_limit = 5, burst_limit = 10 }
    "auth/login/POST"      = { rate_limit = 5, burst_limit = 10 }
    "auth/verify/GET"      = { rate_limit = 5, burst_limit = 10 }
    "auth/logout/POST"     = { rate_limit = 5, burst_limit = 10 }
    "auth/logout-all/POST" = { rate_limit = 5, burst_limit = 10 }
    "auth/password/PUT"    = { rate_limit = 5, burst_limit = 10 }
  }
}
