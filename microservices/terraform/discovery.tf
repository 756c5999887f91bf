# Names of services within the network: orders asks http://products:8080, which ECS Service Connect leads to a healthy
# task. No address is in DNS for a second longer than its task lives.

resource "aws_service_discovery_private_dns_namespace" "main" {
  name        = "${local.name}.local"
  description = "Services of ${local.name}"
  vpc         = aws_vpc.main.id
}
