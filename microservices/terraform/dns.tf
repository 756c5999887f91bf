# Names and certificates, where there is a domain: the zone is made here, and the domain's registrar must be told its name
# servers before an authority signs anything.

locals {
  public_names  = local.has_domain ? [var.domain_name, "api.${var.domain_name}"] : []
  internal_name = "internal.${var.domain_name}"

  records = { for pair in setproduct(local.public_names, ["A", "AAAA"]) : "${pair[0]} ${pair[1]}" => { name = pair[0], type = pair[1] } }

  # By name, since the authority asks for the same record of each certificate that has it.
  validations = merge(
    { for option in flatten(aws_acm_certificate.public[*].domain_validation_options) : option.domain_name => option },
    { for option in flatten(aws_acm_certificate.internal[*].domain_validation_options) : option.domain_name => option },
  )
}

resource "aws_route53_zone" "main" {
  #checkov:skip=CKV2_AWS_38:A chain of signatures needs the registrar's part; a domain that has it turns it on there.
  #checkov:skip=CKV2_AWS_39:Who asks for a shop's name is nobody's matter.
  count = local.has_domain ? 1 : 0

  name    = var.domain_name
  comment = "Names of ${local.name}"
}

# CloudFront takes certificates of us-east-1 alone.
resource "aws_acm_certificate" "public" {
  count = local.has_domain ? 1 : 0

  region                    = "us-east-1"
  domain_name               = local.public_names[0]
  subject_alternative_names = slice(local.public_names, 1, length(local.public_names))
  validation_method         = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

# The load balancer's, by which API Gateway knows it.
resource "aws_acm_certificate" "internal" {
  count = local.has_domain ? 1 : 0

  domain_name       = local.internal_name
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  for_each = toset(local.has_domain ? concat(local.public_names, [local.internal_name]) : [])

  zone_id         = aws_route53_zone.main[0].zone_id
  name            = local.validations[each.key].resource_record_name
  type            = local.validations[each.key].resource_record_type
  records         = [local.validations[each.key].resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "public" {
  count = local.has_domain ? 1 : 0

  region                  = "us-east-1"
  certificate_arn         = aws_acm_certificate.public[0].arn
  validation_record_fqdns = [for name in local.public_names : aws_route53_record.validation[name].fqdn]
}

resource "aws_acm_certificate_validation" "internal" {
  count = local.has_domain ? 1 : 0

  certificate_arn         = aws_acm_certificate.internal[0].arn
  validation_record_fqdns = [aws_route53_record.validation[local.internal_name].fqdn]
}

resource "aws_route53_record" "public" {
  for_each = local.records

  zone_id = aws_route53_zone.main[0].zone_id
  name    = each.value.name
  type    = each.value.type

  alias {
    name                   = aws_cloudfront_distribution.main.domain_name
    zone_id                = aws_cloudfront_distribution.main.hosted_zone_id
    evaluate_target_health = false
  }
}
