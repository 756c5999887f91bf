# Headers of the site's files; the local gateway sends them too. Its scripts and styles are files of its own, and its
# requests go to its own host. A change of a file is seen at once: each is asked for anew, and not sent if it is the same.

resource "aws_cloudfront_response_headers_policy" "site" {
  name = "${local.name}-site"

  security_headers_config {
    content_security_policy {
      content_security_policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
      override                = true
    }

    content_type_options {
      override = true
    }

    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }

    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }

  custom_headers_config {
    items {
      header   = "Cache-Control"
      value    = "no-cache"
      override = true
    }
  }
}
