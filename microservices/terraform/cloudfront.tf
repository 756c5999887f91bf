# Headers of the site's files; the local gateway sends them too. Its scripts and styles are files of its own, and its
# requests go to its own host. A change of a file is seen at once: each is asked for anew, and not sent if it is the same.

resource "aws_cloudfront_response_headers_policy" "site" {
  #checkov:skip=CKV_AWS_259:Of other names under the domain this shop does not decide, nor of browsers' lists.
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

# The one way in: the site of the static bucket, and the API under /api, whose prefix the edge takes off.

data "aws_cloudfront_cache_policy" "optimized" {
  name = "Managed-CachingOptimized"
}

data "aws_cloudfront_cache_policy" "disabled" {
  name = "Managed-CachingDisabled"
}

# With the viewer's own Host, API Gateway would refuse the request.
data "aws_cloudfront_origin_request_policy" "all_but_host" {
  name = "Managed-AllViewerExceptHostHeader"
}

resource "aws_cloudfront_origin_access_control" "static" {
  name                              = "${local.name}-static"
  description                       = "CloudFront's signature to the static bucket"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_function" "strip_api" {
  name    = "${local.name}-strip-api"
  comment = "Paths without /api, the viewer's address, a request's id"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = file("${path.module}/../edge/strip_api.js")
}

resource "aws_cloudfront_distribution" "main" {
  #checkov:skip=CKV_AWS_68:The web firewall stands before the API; the site is public files.
  #checkov:skip=CKV_AWS_86:Its log is a delivery of version 2, below.
  #checkov:skip=CKV_AWS_174:TLS 1.2 or newer where there is a domain; CloudFront's own certificate has CloudFront's own policy.
  #checkov:skip=CKV_AWS_310:Each origin is one region's; the bucket and the API are already in several zones of it.
  #checkov:skip=CKV_AWS_374:Whoever may buy is not known by country.
  #checkov:skip=CKV2_AWS_47:As the first; the API's firewall has AWS's list of known bad inputs.
  enabled             = true
  comment             = local.name
  http_version        = "http2and3"
  is_ipv6_enabled     = true
  price_class         = var.cheap ? "PriceClass_100" : "PriceClass_200"
  default_root_object = "index.html"
  aliases             = local.public_names

  origin {
    origin_id                = "static"
    domain_name              = aws_s3_bucket.static.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.static.id
  }

  origin {
    origin_id   = "api"
    domain_name = "${aws_api_gateway_rest_api.main.id}.execute-api.${var.region}.amazonaws.com"
    origin_path = "/${aws_api_gateway_stage.prod.stage_name}"

    custom_header {
      name  = "x-origin-secret"
      value = var.origin_secret
    }

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  default_cache_behavior {
    target_origin_id           = "static"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = data.aws_cloudfront_cache_policy.optimized.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.site.id
  }

  ordered_cache_behavior {
    path_pattern             = "/api/*"
    target_origin_id         = "api"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    cached_methods           = ["GET", "HEAD"]
    compress                 = false # CachingDisabled compresses nothing
    cache_policy_id          = data.aws_cloudfront_cache_policy.disabled.id
    origin_request_policy_id = data.aws_cloudfront_origin_request_policy.all_but_host.id

    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.strip_api.arn
    }

    lambda_function_association {
      event_type   = "origin-response"
      lambda_arn   = aws_lambda_function.restore_challenge.qualified_arn
      include_body = false
    }
  }

  # The site's pages are behind # in one file, so that a path that is not there is a 404, as it is for the API.

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = !local.has_domain
    acm_certificate_arn            = local.has_domain ? aws_acm_certificate_validation.public[0].certificate_arn : null
    minimum_protocol_version       = local.has_domain ? "TLSv1.2_2021" : null
    ssl_support_method             = local.has_domain ? "sni-only" : null
  }
}

# Its log, which CloudFront sends from us-east-1 whatever the region is

resource "aws_cloudwatch_log_delivery_source" "cloudfront" {
  region       = "us-east-1"
  name         = "${local.name}-cloudfront"
  log_type     = "ACCESS_LOGS"
  resource_arn = aws_cloudfront_distribution.main.arn
}

resource "aws_cloudwatch_log_delivery_destination" "cloudfront" {
  region        = "us-east-1"
  name          = "${local.name}-cloudfront"
  output_format = "json"

  delivery_destination_configuration {
    destination_resource_arn = "${aws_s3_bucket.logs.arn}/cloudfront"
  }

  depends_on = [aws_s3_bucket_policy.logs]
}

resource "aws_cloudwatch_log_delivery" "cloudfront" {
  region                   = "us-east-1"
  delivery_source_name     = aws_cloudwatch_log_delivery_source.cloudfront.name
  delivery_destination_arn = aws_cloudwatch_log_delivery_destination.cloudfront.arn
}

# The function on API Gateway's answers. Lambda@Edge is published in us-east-1, on x86, and has no environment.

data "archive_file" "restore_challenge" {
  type        = "zip"
  source_file = "${path.module}/../edge/restore_challenge.js"
  output_path = "${path.module}/.terraform/restore_challenge.zip"
}

data "aws_iam_policy_document" "edge_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["edgelambda.amazonaws.com", "lambda.amazonaws.com"]
    }
  }
}

# It runs in the region that is nearest to the viewer, and logs there.
data "aws_iam_policy_document" "edge" {
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:${local.partition}:logs:*:${local.account_id}:log-group:/aws/lambda/us-east-1.${local.name}-restore-challenge:*"]
  }
}

resource "aws_iam_role" "edge" {
  name               = "${local.name}-restore-challenge-lambda-role"
  assume_role_policy = data.aws_iam_policy_document.edge_trust.json
}

resource "aws_iam_role_policy" "edge" {
  name   = "log"
  role   = aws_iam_role.edge.id
  policy = data.aws_iam_policy_document.edge.json
}

resource "aws_cloudwatch_log_group" "edge" {
  #checkov:skip=CKV_AWS_158:It is in us-east-1, where the key is only if everything is; it has errors of eight lines of code.
  region            = "us-east-1"
  name              = "/aws/lambda/us-east-1.${local.name}-restore-challenge"
  retention_in_days = var.log_days
}

resource "aws_lambda_function" "restore_challenge" {
  #checkov:skip=CKV_AWS_50:Lambda@Edge cannot be traced.
  #checkov:skip=CKV_AWS_115:Lambda@Edge has no reserved concurrency.
  #checkov:skip=CKV_AWS_116:CloudFront waits for its answer.
  #checkov:skip=CKV_AWS_117:Lambda@Edge is in no network.
  #checkov:skip=CKV_AWS_272:Its text is in the repository, and its hash in this plan.
  region           = "us-east-1"
  function_name    = "${local.name}-restore-challenge"
  role             = aws_iam_role.edge.arn
  runtime          = "nodejs22.x"
  architectures    = ["x86_64"]
  handler          = "restore_challenge.handler"
  memory_size      = 256
  timeout          = 5
  publish          = true
  filename         = data.archive_file.restore_challenge.output_path
  source_code_hash = data.archive_file.restore_challenge.output_base64sha256

  depends_on = [aws_iam_role_policy.edge, aws_cloudwatch_log_group.edge]
}
