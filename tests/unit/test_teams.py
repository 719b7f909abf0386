"""Teams: who owns a model, where its spec lies, who has its name, its grants and its images, and who may call it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport import Environment, Model, Release, SpecError, Stack, manifests, violations

TEAMS = {
    "risk": {"group": "oidc:risk", "folder": "../models/risk", "models": ["fraud-score"]},
    "growth": {"group": "oidc:growth", "folder": "../models/growth"},
    "open": {"group": "oidc:open"},
}
GRANT = {"fraud-score": {"token": {"config": "token"}}}


def model(name: str, owner: str, **fields: Any) -> Model:
    image = {} if "image" in fields or "build" in fields else {"image": f"registry.example.com/{owner}/{name}"}
    return Model.model_validate({"name": name, "owner": owner} | image | fields)


def environment(**fields: Any) -> Environment:
    return Environment.model_validate({"cluster": {"identifier": "prod"}} | fields)


def refused(subject: Model, *peers: Model, **here: Any) -> list[tuple[str, str]]:
    found = violations(Release(subject, environment(**here), "1", f"{subject.image}:1", peers=peers))
    return [(".".join(map(str, each.field)), each.message) for each in found]


def write(folder: Path, owner: str, name: str = "fraud-score", more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "model.yaml"
    spec.write_text(f"name: {name}\nowner: {owner}\nimage: registry.example.com/{name}\n{more}")
    return spec


def problems(place: Path, *specs: Path, teams: Any = TEAMS, more: str = "") -> list[str]:
    stack = place / "prod"
    stack.mkdir(exist_ok=True)
    (stack / "environment.yaml").write_text(f"cluster: {{identifier: prod}}\nteams: {teams}\n{more}")
    names = [spec.read_text().split()[1] for spec in specs]
    entries = "".join(
        f'  {name}:\n    spec: {spec}\n    stable: {{version: "1"}}\n' for name, spec in zip(names, specs, strict=True)
    )
    (stack / "models.yaml").write_text(f"models:\n{entries}" if entries else "models: {}\n")
    try:
        Stack.read(stack)
    except SpecError as error:
        return [str(problem).replace(f"{place}/", "") for problem in error.problems]
    return []


def test_a_misspelt_owner_is_told_the_teams() -> None:
    assert refused(model("iris", "rsk"), teams=TEAMS) == [
        ("owner", 'found "rsk", accepted: risk, growth, open (teams)')
    ]


def test_any_owner_is_right_where_there_are_no_teams() -> None:
    assert refused(model("iris", "rsk")) == []


def test_a_name_is_its_teams_whoever_takes_it() -> None:
    assert refused(model("fraud-score", "growth"), teams=TEAMS) == [
        ("owner", 'found "growth", accepted: risk, whose name fraud-score is (teams.risk.models)')
    ]
    assert refused(model("fraud-score", "risk"), teams=TEAMS) == []
    assert refused(model("fraud-scores", "growth"), teams=TEAMS) == []


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("secrets", GRANT),
        ("claims", {"fraud-score": {"corpus": {"volume": "corpus"}}}),
        ("identities", {"fraud-score": {"pod_identity": True}}),
    ],
)
def test_what_is_given_to_a_name_is_given_to_a_team(tmp_path: Path, field: str, content: Any) -> None:
    file = tmp_path / "environment.yaml"
    cluster = "cloud: eks-karpenter\ncluster: {identifier: prod}\n"
    teams = {"risk": {"group": "oidc:risk"}}
    text = str(content).replace("True", "true")
    file.write_text(f"{cluster}teams: {teams}\n{field}: {text}\n")
    with pytest.raises(SpecError) as error:
        Environment.load(file)
    assert str(error.value).replace(f"{tmp_path}/", "") == (
        f"environment.yaml:4: {field}: found a mapping, accepted: names in the `models` of a team, so that no other team's "
        "model can take what they get (found fraud-score)"
    )
    file.write_text(f"{cluster}{field}: {text}\n")
    Environment.load(file)
    file.write_text(f"{cluster}teams: {TEAMS}\n{field}: {text}\n")
    Environment.load(file)


def test_a_name_of_two_teams_is_refused() -> None:
    with pytest.raises(ValueError, match=r"each name in the `models` of one team, once \(found iris twice\)"):
        environment(teams={"a": {"group": "a", "models": ["iris"]}, "b": {"group": "b", "models": ["iris"]}})


def test_a_spec_is_in_the_folder_of_its_owner(tmp_path: Path) -> None:
    write(tmp_path / "models/growth/one", "risk")
    assert problems(tmp_path, write(tmp_path / "models/risk/fraud-score", "risk")) == []
    assert problems(tmp_path, write(tmp_path / "models/risk", "risk")) == []
    assert problems(tmp_path, write(tmp_path / "models/riskier", "risk")) == [
        'models/riskier/model.yaml:2: fraud-score.owner: found "risk" outside the folder of that team, accepted: a spec in '
        "../models/risk (teams.risk.folder)"
    ]
    assert problems(tmp_path, write(tmp_path / "models/growth/one", "risk")) == [
        'models/growth/one/model.yaml:2: fraud-score.owner: found "risk" in the folder of growth, accepted: growth '
        "(teams.growth.folder)"
    ]
    assert problems(tmp_path, write(tmp_path / "models/risk/two", "open", "iris")) == [
        'models/risk/two/model.yaml:2: iris.owner: found "open" in the folder of risk, accepted: risk (teams.risk.folder)'
    ]
    assert problems(tmp_path, write(tmp_path / "elsewhere", "open", "iris")) == []


def test_the_nearest_folder_decides(tmp_path: Path) -> None:
    teams = {"all": {"group": "all", "folder": "../models"}, "risk": {"group": "risk", "folder": "../models/risk"}}
    assert problems(tmp_path, write(tmp_path / "models/risk/a", "risk"), teams=teams) == []
    assert problems(tmp_path, write(tmp_path / "models/b", "all"), teams=teams) == []
    (found,) = problems(tmp_path, write(tmp_path / "models/risk/a", "all"), teams=teams)
    assert 'found "all" in the folder of risk' in found
    (found,) = problems(tmp_path, write(tmp_path / "models/b", "risk"), teams=teams)
    assert 'found "risk" in the folder of all' in found


def link(spec: Path, target: Path) -> Path:
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.symlink_to(target)
    return spec


LINKS: dict[str, Callable[[Path], Path]] = {
    # The file is the team's, but its image is built from the folder of the link.
    "into the folder": lambda place: link(
        place / "models/growth/x/model.yaml", write(place / "models/risk/fraud-score", "risk")
    ),
    "out of the folder": lambda place: link(place / "models/risk/x/model.yaml", write(place / "elsewhere", "risk")),
    "of a folder": lambda place: (
        link(place / "models/risk/y", write(place / "models/growth/z", "risk").parent) / "model.yaml"
    ),
}


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_opens_no_folder(tmp_path: Path, kind: str) -> None:
    (tmp_path / "models/risk").mkdir(parents=True)
    (found,) = problems(tmp_path, LINKS[kind](tmp_path))
    assert 'fraud-score.owner: found "risk"' in found


def test_a_team_that_is_given_something_has_a_folder(tmp_path: Path) -> None:
    teams = {"risk": {"group": "oidc:risk", "models": ["fraud-score"]}}
    spec = write(tmp_path / "models", "risk")
    assert problems(tmp_path, spec, teams=teams) == []
    assert problems(tmp_path, spec, teams=teams, more=f"secrets: {GRANT}\n") == [
        "prod/environment.yaml:2: teams.risk: missing `folder`, required: the team's fraud-score is in secrets"
    ]


def test_grants_to_names_that_no_model_has_are_listed(tmp_path: Path) -> None:
    more = f"secrets: {GRANT}\nclaims: {{iris: {{corpus: {{volume: a}}}}, fraud-score: {{corpus: {{volume: b}}}}}}\n"
    teams = TEAMS | {"growth": {"group": "a", "models": ["iris"], "folder": "../models/growth"}}
    assert problems(tmp_path, teams=teams, more=more) == []
    assert Stack.read(tmp_path / "prod").unused_grants == ["claims.iris", "claims.fraud-score", "secrets.fraud-score"]
    problems(tmp_path, write(tmp_path / "models/risk/fraud-score", "risk"), teams=teams, more=more)
    assert Stack.read(tmp_path / "prod").unused_grants == ["claims.iris"]


REGISTRIES = [
    ({"image": "registry.example.com/risk/iris"}, []),
    ({"image": "registry.example.com/risk/deeper/iris"}, []),
    ({"image": "registry.example.com/growth/iris"}, ["image"]),
    ({"image": "registry.example.com/riskier/iris"}, ["image"]),
    ({"weights": {"image": "registry.example.com/growth/weights"}}, ["weights.image"]),
    ({"weights": {"image": "registry.example.com/risk/weights"}}, []),
    ({"weights": {"image": "other.example.com/risk/weights"}}, ["weights.image", "weights.image"]),
    ({"build": {}}, []),
]


@pytest.mark.parametrize(("fields", "places"), REGISTRIES)
def test_images_and_weights_are_the_teams_own(fields: dict[str, Any], places: list[str]) -> None:
    found = refused(
        model("iris", "risk", **fields),
        teams={"risk": {"group": "risk", "registries": ["registry.example.com/risk"]}},
        limits={"registries": ["registry.example.com"]},
        images={"registry": "registry.example.com/models", "bases": {"python": "registry.example.com/base:1"}},
    )
    assert [place for place, message in found if "registries" in message] == places
    if places:
        assert found[-1][1].startswith('found "') or "weights" in places[0]


def test_the_message_names_the_teams_registries() -> None:
    teams = {"risk": {"group": "risk", "registries": ["registry.example.com/risk"]}}
    assert refused(model("iris", "risk", image="registry.example.com/growth/iris"), teams=teams) == [
        (
            "image",
            'found "registry.example.com/growth/iris", accepted: an image of registry.example.com/risk '
            "(teams.risk.registries)",
        )
    ]


def test_a_call_of_another_teams_model_needs_its_consent() -> None:
    victim, thief = model("victim", "harbour"), model("thief", "others", calls=["victim"])
    assert refused(thief, victim) == [
        (
            "calls.0",
            'found "victim" of harbour, accepted: models of others, and those whose `callers` name others',
        )
    ]
    assert refused(model("mate", "harbour", calls=["victim"]), victim) == []
    assert refused(thief, model("victim", "harbour", callers=["others"])) == []
    # The name of a model is no consent, because anybody may take it.
    assert refused(thief, model("victim", "harbour", callers=["thief"])) != []


words = st.sampled_from(["a", "b", "c"])


@settings(deadline=None)
@given(words, words, st.lists(words, unique=True), st.booleans())
def test_both_ends_open_with_consent_alone(caller: str, owner: str, callers: list[str], asked: bool) -> None:
    callee = model("callee", owner, callers=callers)
    calling = model("calling", caller, calls=["callee"] if asked else [])
    ends = [
        [
            each
            for each in manifests(Release(one, environment(), "1", "i:1", peers=[other]))
            if has_peer(each, other.name)
        ]
        for one, other in ((callee, calling), (calling, callee))
    ]
    opened = asked and caller in {owner, *callers}
    assert [bool(end) for end in ends] == [opened, opened]
    if opened:
        assert ends[0][0]["metadata"]["annotations"]["homeport/callers"] == f"calling of {caller}"
    assert bool(refused(calling, callee)) == (asked and not opened)


def has_peer(manifest: Any, name: str) -> bool:
    return manifest["kind"] == "NetworkPolicy" and f"'{name}'" in str(manifest["spec"].get("ingress")) + str(
        manifest["spec"].get("egress")
    )
