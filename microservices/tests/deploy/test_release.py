"""A release: what it changes and in which order, and that whatever fails leaves everything as it was."""

import base64
import hashlib
import json
import re
import sys
from dataclasses import asdict, replace

import boto3
import hcl2
import pytest
from botocore.exceptions import ClientError

from microservices.deploy import release, running, smoke
from microservices.deploy.rollout import ReleaseFailed, Target
from microservices.local.terraform import FOLDER, OPTIONS
from microservices.tests.deploy.clouds import (
    FUNCTIONS,
    IMPATIENT,
    MIGRATIONS,
    NEW,
    OLD,
    SERVICES,
    SIDECAR,
    SITES,
    TARGET,
    digest_of,
    image_of,
    running_cloud,
    zipped,
)
from tests.servers import answering


@pytest.fixture
def asked(monkeypatch):
    """Addresses that were asked whether they work."""
    found = []
    monkeypatch.setattr(smoke, "check", found.append)
    return found


@pytest.fixture
def cloud(monkeypatch, asked):
    with running_cloud(monkeypatch) as one:
        yield one


def roll_out(commit=NEW, **options):
    release.release(TARGET, commit, patience=IMPATIENT, **options)


def refused(message="no"):
    return ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "Call")


def test_a_release_gives_every_part_the_commit(cloud, asked):
    before = cloud.aliases()

    roll_out()

    assert cloud.ecs.running() == {service: image_of(name, NEW) for service, (_, name) in SERVICES.items()}
    after = cloud.aliases()
    assert {commit for commit, _ in after.values()} == {NEW}
    assert [name for name in FUNCTIONS if after[name][1] == before[name][1]] == []
    assert after["microservices-auth"][1] == after["microservices-authorizer"][1]
    assert cloud.site() == SITES[NEW]
    assert cloud.invalidated == [f"/2020-05-31/distribution/{TARGET.distribution_id}/invalidation"]
    assert asked == [TARGET.url]


def test_a_new_task_definition_differs_in_its_image_alone(cloud):
    old = dict(cloud.ecs.definitions)

    roll_out()

    for found in cloud.ecs.deployments.values():
        new = cloud.ecs.definitions[found[0]["taskDefinition"]]
        was = old[new["taskDefinitionArn"].replace(":2", ":1")]
        assert new["containerDefinitions"][1] == SIDECAR
        assert new["containerDefinitions"][0] | {"image": ""} == was["containerDefinitions"][0] | {"image": ""}
        assert new["executionRoleArn"] == was["executionRoleArn"]


def test_the_schema_is_migrated_by_the_new_images_before_anything_runs_them(cloud):
    roll_out()

    (task,) = cloud.ecs.ran
    steps = cloud.ecs.definitions[task["taskDefinition"]]["containerDefinitions"]
    assert [step["image"] for step in steps] == [image_of(name, NEW) for name in ("products", "orders")]
    assert task["launchType"] == "FARGATE"
    assert task["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1"]
    assert cloud.calls.index("ecs:DescribeTasks") < cloud.calls.index("ecs:UpdateService")
    assert cloud.calls.index("ecs:RunTask") < cloud.calls.index("lambda:UpdateFunctionCode")


def test_the_first_page_is_written_after_the_files_that_it_names(cloud, monkeypatch):
    written = []
    session = boto3.DEFAULT_SESSION
    session.events.register("before-parameter-build.s3.PutObject", lambda params, **_: written.append(params["Key"]))

    roll_out()

    assert written == ["new.js", "index.html"]


def sick(cloud, family="microservices-orders"):
    cloud.ecs.sick = {family}


def stuck(cloud):
    cloud.ecs.stuck = {"microservices-orders-relay"}


def no_zip(cloud):
    cloud.refuses["lambda:UpdateFunctionCode"] = refused()


def no_alias(cloud):
    cloud.refuses["lambda:UpdateAlias"] = refused()


def no_copies(cloud):
    cloud.refuses["cloudfront:CreateInvalidation"] = refused()


@pytest.mark.parametrize("break_it", [sick, stuck, no_zip], ids=lambda function: function.__name__)
def test_what_does_not_get_well_leaves_everything_as_it_was(cloud, asked, break_it):
    before = cloud.state()
    break_it(cloud)

    with pytest.raises((ReleaseFailed, ClientError)):
        roll_out()

    assert cloud.state() == before
    assert asked == []


def test_a_shop_that_answers_wrongly_is_taken_back_whole(cloud, monkeypatch):
    def check(url):
        assert cloud.site() == SITES[NEW]
        raise smoke.SmokeFailed("Products: 500")

    before = cloud.state()
    monkeypatch.setattr(smoke, "check", check)

    with pytest.raises(smoke.SmokeFailed, match="Products: 500"):
        roll_out()

    assert cloud.state() == before


def test_a_release_that_somebody_breaks_off_is_taken_back(cloud, monkeypatch):
    def check(url):
        raise KeyboardInterrupt

    before = cloud.state()
    monkeypatch.setattr(smoke, "check", check)

    with pytest.raises(KeyboardInterrupt):
        roll_out()

    assert cloud.state() == before


def test_what_ecs_takes_back_by_itself_is_no_success(cloud):
    """The service is stable again, with the task definition of before."""
    sick(cloud, "microservices-products")

    with pytest.raises(ReleaseFailed, match="microservices-products-service does not get well") as failure:
        roll_out()

    assert "is as it is" in str(failure.value)  # the service's events, which say why
    assert cloud.calls.count("ecs:UpdateService") == 1


@pytest.mark.parametrize("exits", [[0, 1, None], [0, 0, None], [None, None, 0]], ids=str)
def test_a_migration_that_fails_ends_the_release_before_anything_changes(cloud, exits):
    before = cloud.state()
    cloud.ecs.exits = exits

    with pytest.raises(ReleaseFailed, match=f"the migrations failed: .*/ecs/{MIGRATIONS}"):
        roll_out()

    assert cloud.state() == before
    assert "ecs:UpdateService" not in cloud.calls


def test_a_migration_that_cannot_start_ends_the_release(cloud):
    cloud.ecs.unable = [{"arn": "task", "reason": "RESOURCE:ENI"}]

    with pytest.raises(ReleaseFailed, match=r"the migrations do not start: .*RESOURCE:ENI"):
        roll_out()


@pytest.mark.parametrize("part", [no_copies, no_alias], ids=lambda function: function.__name__)
def test_a_roll_back_that_fails_in_one_part_goes_on_with_the_others(cloud, monkeypatch, capsys, part):
    def check(url):
        part(cloud)
        raise smoke.SmokeFailed("Orders: 503")

    before = cloud.ecs.running()
    monkeypatch.setattr(smoke, "check", check)

    with pytest.raises(smoke.SmokeFailed):
        roll_out()

    assert cloud.ecs.running() == before
    assert "has failed as well" in capsys.readouterr().out


def test_a_commit_that_was_not_built_is_refused(cloud):
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        roll_out("2" * 40)

    assert set(cloud.calls) == {"ecr:DescribeImages"}


@pytest.mark.parametrize("name", ["auth", "site"])
def test_a_commit_whose_zips_are_not_all_there_is_refused(cloud, name):
    boto3.client("s3").delete_object(Bucket=TARGET.releases_bucket, Key=f"{NEW}/{name}.zip")

    with pytest.raises(ReleaseFailed, match=f"has no {NEW}/{name}.zip$"):
        roll_out()

    assert "ecs:RunTask" not in cloud.calls


def test_an_earlier_commit_is_released_without_migrations(cloud):
    roll_out()

    roll_out(OLD, migrate=False)

    assert len(cloud.ecs.ran) == 1
    assert set(cloud.ecs.running().values()) == {image_of(name, OLD) for name in ("products", "orders")}
    assert {commit for commit, _ in cloud.aliases().values()} == {OLD}
    assert cloud.site() == SITES[OLD]


def test_a_repeated_release_starts_no_tasks_anew(cloud):
    roll_out()
    cloud.calls.clear()

    roll_out()

    assert "ecs:UpdateService" not in cloud.calls
    assert "s3:PutObject" not in cloud.calls
    assert len(cloud.invalidated) == 1


# The command


def test_the_command_releases_the_commit_to_the_place_that_terraform_names(cloud, asked, monkeypatch, capsys):
    monkeypatch.setenv("RELEASE_TARGET", json.dumps(asdict(TARGET)))
    monkeypatch.setattr(release, "Patience", lambda: IMPATIENT)
    monkeypatch.setattr(sys, "argv", ["release", NEW])

    release.main()

    assert capsys.readouterr().out.endswith(f"{TARGET.url} is {NEW}\n")
    assert len(cloud.ecs.ran) == 1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "RELEASE_TARGET must be the JSON of `terraform output -json release`"),
        ("[]", "RELEASE_TARGET must be the JSON"),
        ('{"region": "us-east-1"}', "RELEASE_TARGET must be the JSON .* releases_bucket"),
        (json.dumps(asdict(replace(TARGET, releases_bucket=None))), "releases_bucket: there is no pipeline"),
    ],
    ids=["none", "list", "part", "no pipeline"],
)
def test_the_command_says_what_is_wrong_with_the_place(cloud, monkeypatch, target, message):
    monkeypatch.setenv("RELEASE_TARGET", target)
    monkeypatch.setattr(sys, "argv", ["release", NEW])

    with pytest.raises(SystemExit) as ended:
        release.main()

    assert re.match(message, str(ended.value.code))


def test_the_command_takes_a_whole_commit_alone(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["release", "main"])

    with pytest.raises(SystemExit):
        release.main()

    assert "commit: must be 40 hex digits" in capsys.readouterr().err


# Images and zips that run, for Terraform


def packages(commit):
    return {f"{package}.zip": zipped({f"{package}.py": commit.encode()}) for package in FUNCTIONS.values()}


@pytest.fixture
def look_up(cloud, monkeypatch, tmp_path):
    """Look what runs up, and write it down for an apply; the folder that it is written into."""
    monkeypatch.setenv("RELEASE_TARGET", json.dumps(asdict(TARGET)))
    monkeypatch.setenv("ENVIRONMENT", "prod")
    monkeypatch.setattr(running, "FOLDER", tmp_path / "instance")

    zips = {hashlib.sha256(one).hexdigest(): one for commit in (OLD, NEW) for one in packages(commit).values()}

    def lead_here(parsed, **_):
        parsed["Code"]["Location"] = f"{url}/{base64.b64decode(parsed['Configuration']['CodeSha256']).hex()}"

    with answering(lambda _method, path, *_: (200, "application/zip", zips[path[1:]])) as url:
        boto3.DEFAULT_SESSION.events.register("after-call.lambda.GetFunction", lead_here)

        def run():
            running.main()
            return tmp_path / "instance"

        yield run


def test_an_apply_gets_the_images_and_the_zips_that_run(cloud, look_up):
    roll_out()
    before = cloud.newest()

    folder = look_up()

    variables = json.loads((folder / "running-prod.tfvars.json").read_text())
    digests = {name: digest_of(NEW) for name in ("products", "orders")}
    assert variables == {"image_digests": digests, "zip_folder": "../../instance/zips-prod"}
    assert {path.name: path.read_bytes() for path in (folder / "zips-prod").iterdir()} == packages(NEW)
    assert cloud.newest() == before


def failed(cloud, monkeypatch):
    def check(url):
        raise smoke.SmokeFailed("Orders: 503")

    monkeypatch.setattr(smoke, "check", check)
    with pytest.raises(smoke.SmokeFailed):
        roll_out()


def half_failed(cloud, monkeypatch):
    """The new code is there, and no version of it."""
    cloud.refuses["lambda:PublishVersion"] = refused()
    with pytest.raises(ClientError):
        roll_out()
    cloud.refuses.clear()


def by_hand(cloud, monkeypatch):
    roll_out()
    for name in FUNCTIONS:
        boto3.client("lambda").update_alias(FunctionName=name, Name="live", FunctionVersion="1", Description=OLD)


@pytest.mark.parametrize("taken_back", [failed, half_failed, by_hand], ids=lambda function: function.__name__)
def test_an_apply_does_not_bring_back_what_was_taken_back(cloud, look_up, monkeypatch, taken_back):
    """Terraform lets the alias name the newest version, and publishes what is in place with each new setting."""
    before = cloud.aliases()
    taken_back(cloud, monkeypatch)

    folder = look_up()

    assert cloud.aliases() == before
    assert {path.name: path.read_bytes() for path in (folder / "zips-prod").iterdir()} == packages(OLD)
    for name, (called, newest, code) in cloud.newest().items():
        assert (called, code) == (newest, before[name][1])


@pytest.mark.parametrize("function", ["microservices-auth", "microservices-authorizer"])
def test_functions_of_one_package_that_run_different_code_are_named(cloud, look_up, function):
    """An apply has one zip for both."""
    roll_out()
    boto3.client("lambda").update_alias(FunctionName=function, Name="live", FunctionVersion="1")
    before = cloud.newest()

    with pytest.raises(SystemExit, match=r"^microservices-auth and microservices-authorizer run different code of"):
        look_up()

    assert cloud.newest() == before


def test_what_runs_is_looked_up_for_an_environment_that_has_a_name(look_up, monkeypatch):
    monkeypatch.setenv("ENVIRONMENT", "")

    with pytest.raises(SystemExit, match=r"^ENVIRONMENT must be the environment's name"):
        look_up()


# Rights


def actions_of(name):
    """Actions that a role of the pipeline may take, without those of either project."""
    document = hcl2.loads((FOLDER / "pipeline" / "main.tf").read_text(), serialization_options=OPTIONS)
    (found,) = (
        block["aws_iam_policy_document"][name]
        for block in document["data"]
        if name in block.get("aws_iam_policy_document", {})
    )
    return {action for statement in found["statement"] for action in statement["actions"]}


def test_the_role_of_deploy_may_do_what_a_release_does_and_nothing_else(cloud, monkeypatch):
    roll_out()

    names = {"s3:ListObjectsV2": "s3:ListBucket"}
    assert {names.get(call, call) for call in cloud.calls} | {"iam:PassRole"} == actions_of("deploy")


def test_the_place_has_the_fields_that_terraform_gives_it():
    document = hcl2.loads((FOLDER / "pipeline.tf").read_text(), serialization_options=OPTIONS)
    (given,) = (block["release"] for block in document["locals"] if "release" in block)
    variables = hcl2.loads((FOLDER / "pipeline" / "variables.tf").read_text(), serialization_options=OPTIONS)
    (kind,) = (block["release"]["type"] for block in variables["variable"] if "release" in block)

    assert set(given) == set(Target.__dataclass_fields__)
    assert set(re.findall(r"(\w+)\s*=", json.dumps(kind))) <= set(given)
