"""Locust's users. From the repository's folder, by hand and with Locust's page on port 8089:

    locust -f tests/load/locustfile.py --bundle build/income --host http://127.0.0.1:8080

Each user then asks again as soon as it is answered; with `--load capacity` the profile decides.
`python -m tests.load` runs it headless, on a server of its own, with a verdict.
"""

import itertools
import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import grpc.experimental.gevent
from locust import FastHttpUser, User, events, task
from locust.env import Environment
from locust.exception import StopUser
from tritonclient.utils import InferenceServerException

from serving.bundle import Bundle
from serving.clients import (
    GrpcClient,
    PredictClient,
    RestClient,
    grpc_answers,
    grpc_request,
    predict_answers,
    v2_answers,
)
from serving.errors import ServingError
from serving.judge import Judge, Kind, Outcome, Reply
from serving.load import Case, Encode, Workload, encode_predict, encode_v2
from serving.problems import Code
from tests.load.arrivals import CLOSED, PATIENCE_SECONDS, Arrivals
from tests.load.conductor import Conductor
from tests.load.errors import LoadTestError
from tests.load.load_profile import Mix, read
from tests.load.records import Records

grpc.experimental.gevent.init_gevent()

BY_HAND = "short"  # the profile whose mix is asked when none is named
JSON = {"Content-Type": "application/json"}
GRPC_STATUS = {"StatusCode.INVALID_ARGUMENT": 400, "StatusCode.NOT_FOUND": 404}
NAMES = {
    Kind.ANSWERED: "{}",
    Kind.REFUSED: "{}, refused as it should be",
    Kind.OVERLOADED: "{}, 503",
    Kind.FAILED: "{}",
}


class Session:
    """What the users of this process share."""

    def __init__(self, bundle: Bundle, mix: Mix, arrivals: Arrivals | None, grpc_at: str) -> None:
        self.model = bundle.manifest.model_name
        self.contract = bundle.artifact.contract
        self.grpc_at = grpc_at
        self.arrivals = arrivals
        self.records = Records()
        workload = Workload(bundle, mix.recipe())
        self._cases: dict[str, Iterator[Case]] = {
            user.way: itertools.cycle(workload.cases(user.way, user.encode)) for user in USERS
        }
        self._judges = {way: Judge(bundle) for way in self._cases}

    def case(self, way: str) -> Case:
        """The next request of this way."""
        return next(self._cases[way])

    def due(self, way: str) -> float:
        """Wait until a request of this way is due."""
        if self.arrivals is None:
            return time.monotonic()
        due = self.arrivals.take(way)
        if due is CLOSED:
            raise StopUser
        return due

    def judge(self, way: str, case: Case, reply: Reply, due: float) -> tuple[Outcome, float]:
        """What became of a request, and how many milliseconds it took."""
        latency = time.monotonic() - due
        outcome = self._judges[way].judge(case, reply)
        self.records.add(due, latency, outcome.kind, outcome.reason)
        return outcome, latency * 1000


session: Session


class Asking(User):
    """A user of one way: waits until a request is due, asks, and looks at the answer."""

    abstract = True
    way: ClassVar[str]
    encode: ClassVar[Encode]

    @task
    def ask(self) -> None:
        """Ask once."""
        due = session.due(self.way)
        self.send(session.case(self.way), due)


class _RestUser(Asking, FastHttpUser):
    abstract = True
    network_timeout = PATIENCE_SECONDS
    connection_timeout = PATIENCE_SECONDS
    path: ClassVar[str]

    def send(self, case: Case, due: float) -> None:
        path = self.path.format(model=session.model)
        with self.client.post(
            path, data=case.payload, headers=JSON, name=self.way, catch_response=True
        ) as response:
            body = response.content or str(getattr(response, "error", "")).encode()
            reply = Reply(response.status_code, body, lambda: self.read(json.loads(body)))
            outcome, latency = session.judge(self.way, case, reply, due)
            meta = response.request_meta
            meta["response_time"] = latency
            meta["name"] = NAMES[outcome.kind].format(self.way)
            if outcome.kind is Kind.FAILED:
                response.failure(outcome.reason)
            else:
                response.success()


class V2RestUser(_RestUser):
    """Speaks V2 over REST."""

    way = RestClient.name
    path = RestClient.path
    encode = staticmethod(encode_v2)
    read = staticmethod(v2_answers)


class PredictUser(_RestUser):
    """Speaks plain JSON."""

    way = PredictClient.name
    path = PredictClient.path
    encode = staticmethod(encode_predict)
    read = staticmethod(predict_answers)


class V2GrpcUser(Asking):
    """Speaks V2 over gRPC."""

    way = GrpcClient.name
    encode = staticmethod(grpc_request)

    def on_start(self) -> None:
        """Connect."""
        self._client = GrpcClient(session.grpc_at, session.model, session.contract)

    def on_stop(self) -> None:
        """Close the channel: one that is still open when Python ends hangs under gevent."""
        self._client.close()

    def send(self, case: Case, due: float) -> None:
        reply = self._ask(case)
        outcome, latency = session.judge(self.way, case, reply, due)
        failed = outcome.kind is Kind.FAILED
        self.environment.events.request.fire(
            request_type="gRPC",
            name=NAMES[outcome.kind].format(self.way),
            response_time=latency,
            response_length=len(reply.body),
            exception=RuntimeError(outcome.reason) if failed else None,
            context={},
        )

    def _ask(self, case: Case) -> Reply:
        try:
            result = self._client.send(case.payload, PATIENCE_SECONDS)
        except InferenceServerException as error:
            said = error.message() or ""
            return Reply(_status(error.status(), said), said.encode(), dict)
        body = result.get_response().SerializeToString(deterministic=True)
        return Reply(200, body, lambda: grpc_answers(session.contract, result))


def _status(code: str, said: str) -> int:
    """HTTP's status for gRPC's. UNAVAILABLE may be a refusal in words, or no server at all."""
    if code == "StatusCode.UNAVAILABLE" and Code.OVERLOADED in said:
        return 503
    return GRPC_STATUS.get(code, 0)


USERS: tuple[type[Asking], ...] = (V2RestUser, V2GrpcUser, PredictUser)


@events.init_command_line_parser.add_listener
def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, env_var="ASSAY_BUNDLE", help="what the host serves")
    parser.add_argument(
        "--load", default="", env_var="ASSAY_LOAD", help="a load profile; none by hand"
    )
    parser.add_argument("--grpc", default="", help="HOST:PORT; port 8081 of the host without it")
    parser.add_argument("--results", type=Path, help="a folder for every request's outcome")


@events.init.add_listener
def _prepare(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options.bundle is None:
        sys.exit("error: name the bundle that the host serves: --bundle build/NAME")
    try:
        _set_up(environment, options)
    except (LoadTestError, ServingError) as error:  # Locust would log it and go on
        sys.exit(f"error: {error}")


def _set_up(environment: Environment, options: Namespace) -> None:
    global session  # noqa: PLW0603 - one for the users of this process, as Locust has one runner
    profile = read(options.load) if options.load else None
    mix = (profile or read(BY_HAND)).mix
    arrivals = Arrivals(mix.ways) if profile is not None and profile.unit == "rate" else None
    grpc_at = options.grpc or f"{urlsplit(environment.host or '').hostname or '127.0.0.1'}:8081"
    session = Session(Bundle(options.bundle), mix, arrivals, grpc_at)
    asked = [user for user in USERS if mix.ways.get(user.way)]
    for user in asked:
        user.weight = mix.ways[user.way]
    environment.user_classes = asked
    if profile is not None:
        environment.shape_class = Conductor(profile, arrivals, session.records, options.results)
        environment.shape_class.runner = environment.runner


@events.test_stopping.add_listener
def _send_users_home(environment: Environment, **_: Any) -> None:
    """Let every user end by itself: one that is killed while it asks over gRPC may hang."""
    if session.arrivals is not None:
        session.arrivals.close(environment.runner.user_count)
