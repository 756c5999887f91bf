# Traces of the containers: the ADOT collector beside each takes what OpenTelemetry sends to the loopback address, and
# hands it to X-Ray. Lambda and API Gateway trace by themselves.

locals {
  otel_image = "public.ecr.aws/aws-observability/aws-otel-collector:v0.45.1"

  otel_config = {
    receivers  = { otlp = { protocols = { http = { endpoint = "127.0.0.1:4318" } } } }
    processors = { batch = { timeout = "5s", send_batch_size = 50 } }
    exporters  = { awsxray = { region = var.region } }
    service = {
      pipelines = { traces = { receivers = ["otlp"], processors = ["batch"], exporters = ["awsxray"] } }
      telemetry = { logs = { level = "warn" } }
    }
  }

  # A task whose collector ends goes on: a trace that is lost is less than an order.
  otel_container = {
    name                   = "otel"
    image                  = local.otel_image
    essential              = false
    readonlyRootFilesystem = true
    memory                 = 96
    environment            = [{ name = "AOT_CONFIG_CONTENT", value = yamlencode(local.otel_config) }]
    logConfiguration       = local.log_configurations["otel"]
  }
}
