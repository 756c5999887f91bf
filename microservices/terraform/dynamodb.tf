# Accounts and sessions. Neither needs an index: a counter on the account ends its sessions.

resource "aws_dynamodb_table" "users" {
  #checkov:skip=CKV_AWS_119:By AWS's own key for DynamoDB; rights are the roles', on tables and attributes.
  name                        = "${local.name}-users"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "userId"
  deletion_protection_enabled = var.protect

  attribute {
    name = "userId"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }
}

# The counters of wrong passwords are in it too, under keys that no hash of a token is.
resource "aws_dynamodb_table" "sessions" {
  #checkov:skip=CKV_AWS_119:As above.
  name                        = "${local.name}-sessions"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "sessionId"
  deletion_protection_enabled = var.protect

  attribute {
    name = "sessionId"
    type = "S"
  }

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }
}
