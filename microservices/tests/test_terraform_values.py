"""Names, keys and limits are read from the Terraform files; what needs Terraform itself is never guessed."""

import pytest

from microservices.local.terraform import Terraform, Unresolved

FILE = """
variable "environment" {
  default = "prod"
}
variable "region" {}
locals {
  name  = var.environment == "prod" ? "shop" : "shop-${var.environment}"
  table = { users = aws_dynamodb_table.users.name, limits = [1, "${local.name}-a"] }
  late  = "${timestamp()}"
  body  = jsonencode({ a = 1 })
}
resource "aws_dynamodb_table" "users" {
  name     = "${local.name}-users"
  hash_key = "userId"
}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "main.tf").write_text(FILE)
    return tmp_path


def test_references_are_followed_through_locals_variables_and_resources(folder):
    assert Terraform(folder).local("table") == {"users": "shop-users", "limits": [1, "shop-a"]}


def test_a_variable_that_is_given_wins_over_its_default(folder):
    assert Terraform(folder, environment="dev").local("table")["users"] == "shop-dev-users"


@pytest.mark.parametrize(
    "expression",
    [
        "${var.region}",
        "${local.late}",
        "${local.body}",
        "${local.nothing}",
        "${local.table.nothing}",
        "${aws_dynamodb_table.users.arn}",
        "${aws_sqs_queue.users.name}",
        '${jsonencode({a = "b"})}',
    ],
)
def test_what_needs_terraform_itself_is_never_guessed(folder, expression):
    with pytest.raises(Unresolved):
        Terraform(folder).value(expression)
