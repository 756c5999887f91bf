# Events of orders on their way to the notifications.

resource "aws_sns_topic" "order_events" {
  name = "${local.name}-order-events"
}

resource "aws_sqs_queue" "notifications" {
  name = "${local.name}-notifications"

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.notifications_dlq.arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue" "notifications_dlq" {
  name = "${local.name}-notifications-dlq"
}

resource "aws_sns_topic_subscription" "notifications" {
  topic_arn            = aws_sns_topic.order_events.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.notifications.arn
  raw_message_delivery = true
}
