"""The stream: its topic, the topic of dead letters and who keeps them, every subscription, and what one may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.operations.checks import Check
from runner.operations.cloud_checks.asking import (
    EMULATED,
    Asking,
    Purpose,
    Thing,
    granted,
    member,
    path,
    refused,
    wanted_things,
)
from runner.stores.apis import Answer

_VIEWER = "roles/pubsub.viewer"
_NEEDED: Mapping[Purpose, tuple[str, ...]] = {
    Purpose.SHIP: ("pubsub.topics.publish",),
    Purpose.READ: ("pubsub.topics.attachSubscription",),
}
_GIVES = {Purpose.SHIP: "roles/pubsub.publisher", Purpose.READ: "roles/pubsub.subscriber"}


def look(asking: Asking) -> Iterator[Check]:
    """The topic of records, and what hangs on it."""
    said: Mapping[str, Any] = wanted_things()["stream"]
    topic, dead = str(said["topic"]), str(said["dead_letters"])
    found = asking.apis.ask("pubsub", _topic_path(asking, topic))
    yield _topic(asking, topic, found)
    if found.status != 404:
        yield from _subscriptions(asking, topic)
        yield from _permissions(asking, topic)
    letters = asking.apis.ask("pubsub", _topic_path(asking, dead))
    yield _topic(asking, dead, letters)
    if letters.good:
        yield _keeper(asking, dead)


def _topic(asking: Asking, name: str, answer: Answer) -> Check:
    if answer.good:
        return Check(f"topic {name}", True, "is there")
    create = f"gcloud pubsub topics create {name} --project={asking.project}"
    return refused(answer, Thing(f"topic {name}", "pubsub", _VIEWER, create), asking.project)


def _subscriptions(asking: Asking, topic: str) -> Iterator[Check]:
    """Every subscription of the topic; those that `tron tail` makes end by themselves, and need no dead letters."""
    answer = asking.apis.ask_all("pubsub", f"{_topic_path(asking, topic)}/subscriptions", "subscriptions")
    if not answer.good:
        yield refused(answer, Thing("subscriptions", "pubsub", _VIEWER), asking.project)
        return
    for full in answer.body["subscriptions"]:
        name = str(full).rpartition("/")[2]
        if not name.startswith("tron-tail-"):
            yield _subscription(asking, name)


def _subscription(asking: Asking, name: str) -> Check:
    check = f"subscription {name}"
    answer = asking.apis.ask("pubsub", path("v1", "projects", asking.project, "subscriptions", name))
    if not answer.good:
        return refused(answer, Thing(check, "pubsub", _VIEWER), asking.project)
    update = f"gcloud pubsub subscriptions update {name} --project={asking.project}"
    dead = wanted_things()["stream"]
    if not answer.body.get("deadLetterPolicy", {}).get("deadLetterTopic"):
        advice = f"{update} --dead-letter-topic={dead['dead_letters']} "
        advice += f"--max-delivery-attempts={dead['delivery_attempts']}"
        return Check(check, False, "has no dead letters: a message that nobody can handle comes again for ever", advice)
    if answer.body["deadLetterPolicy"]["deadLetterTopic"] == "_deleted-topic_":
        advice = f"{update} --dead-letter-topic={dead['dead_letters']}"
        return Check(check, False, "the topic of its dead letters was deleted", advice)
    if "ttl" in answer.body.get("expirationPolicy", {}):
        ttl = answer.body["expirationPolicy"]["ttl"]
        advice = f"{update} --expiration-period=never"
        return Check(check, False, f"is deleted when nobody listens for {ttl}", advice)
    if answer.body.get("detached"):
        advice = f"gcloud pubsub subscriptions delete {name} --project={asking.project}; then terraform apply"
        return Check(check, False, "is detached: it gets nothing", advice)
    return Check(
        check, True, f"dead letters after {answer.body['deadLetterPolicy'].get('maxDeliveryAttempts', 5)} tries"
    )


def _keeper(asking: Asking, dead: str) -> Check:
    """A topic without a subscription forgets what comes."""
    answer = asking.apis.ask_all("pubsub", f"{_topic_path(asking, dead)}/subscriptions", "subscriptions")
    if not answer.good:
        return refused(answer, Thing("dead letters", "pubsub", _VIEWER), asking.project)
    names = [str(full).rpartition("/")[2] for full in answer.body["subscriptions"]]
    if names:
        return Check("dead letters", True, f"kept by {', '.join(names)}")
    create = f"gcloud pubsub subscriptions create {dead} --topic={dead} --expiration-period=never"
    advice = f"terraform apply; or by hand: {create} --project={asking.project}"
    return Check("dead letters", False, "nobody keeps them: they are lost", advice)


def _permissions(asking: Asking, topic: str) -> Iterator[Check]:
    wanted = asking.permissions(_NEEDED)
    check = f"roles on {topic}"
    if asking.apis.is_emulated("pubsub"):
        yield Check(check, True, EMULATED)
    elif wanted:
        add = f"gcloud pubsub topics add-iam-policy-binding {topic} --project={asking.project}"
        advice = f"{add} --member={member(asking)} --role={_GIVES.get(asking.purpose, 'roles/pubsub.editor')}"
        question = f"{_topic_path(asking, topic)}:testIamPermissions"
        yield granted(asking, question, wanted, Thing(check, "pubsub", _VIEWER), advice)


def _topic_path(asking: Asking, name: str) -> str:
    return path("v1", "projects", asking.project, "topics", name)
