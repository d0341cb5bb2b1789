"""The provider that a subject sees: every request to its reply, and every call to its row in the ledger.

    request ─► key? ─► read ─► model, context ─► incident? ─► rate limit ─► budget ─► brain ─► Reply + held money
                 │ 401     │ 400        │ 404, 400      │ 500, 503    │ 429        │ 429
                 └─────────┴────────────┴─ only counted └─────────────┴────────────┴─ a row, free of charge

All of it happens at once when a request is whole, so nothing comes between a look at the budget and the money's being
held. What depends on the order of arrival: whom a rate limit or the end of a budget hits, who pays for a prefix that
is not cached yet, how loaded a model is, and what falls into an incident. What does not: what is said, whether it is
right, its ids, jitter, and its price but for the cached share. Seed says why.
"""

import asyncio
import base64
import hmac
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from . import notices, simtok
from .asking import DIMENSIONS, ChatRequest, Refusal, chat_request, embedding_request, loads
from .batches import Batches, uploaded
from .brains import Brain, Said
from .brains.competence import Competence
from .brains.embedding import Embedding
from .brains.reader import Reader
from .clock import NANO, ORIGIN, Clock
from .ledger import Hold, Ledger, Row
from .limits import Incident, Incidents, PrefixCache, RateLimits
from .prices import BATCH_DISCOUNT, Model, cost, in_dollars, on_sale
from .seeds import Draws, Occurrences, Seed
from .setup import Setup
from .speaking import chat_body, chat_pieces, first_tokens
from .wire import Delivery, Reply, Request, json_reply, refused

__all__ = ["Provider"]

JITTER: Final = (0.8, 1.2)
LOAD: Final = 0.6  # what a model that is used up to its limit is slower by; the cube of its use
PAID_AFTER: Final = NANO  # whoever hangs up later pays for the prompt, which has been read by then
HANG_SECONDS: Final = 30
LONGEST_TAG: Final = 64


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was let in."""

    kind: str
    model: Model
    digest: bytes
    occurrence: int
    draws: Draws
    incidents: tuple[Incident, ...]
    load: float
    now: int
    tag: str

    @property
    def slower(self) -> float:
        factor = self.draws.between(*JITTER, "jitter")
        for incident in self.incidents:
            factor *= incident.amount if incident.kind == "slow" else 1
        return factor

    def hit_by(self, kind: str) -> Incident | None:
        return next((one for one in self.incidents if one.kind == kind), None)


class Provider:
    def __init__(self, setup: Setup, clock: Clock) -> None:
        self.setup = setup
        self.clock = clock
        self.frozen = False
        self.work_waits = asyncio.Event()  # lines of batches are to be answered
        self.incidents = Incidents(setup.incidents)
        self.competence = Competence(Seed(setup.secret).draws("items"))
        self.competence.expect(setup.items)
        self._brain: Brain = self.competence if setup.brain == "competence" else Reader(setup.lexicon)
        self._embedding = Embedding(setup.lexicon)
        self.reset()

    def reset(self) -> None:
        """As on the first day: an empty ledger, a whole budget, nothing cached or counted. Time goes on."""
        self._seed = Seed(self.setup.secret)
        self.ledger = Ledger(self.setup.budget)
        self._models = {model.name: model for model in self.setup.card}
        self._limits = RateLimits(self.setup.card, self.clock.now())
        self._cache = PrefixCache(self.setup.cache_seconds)
        self._seen = Occurrences()
        self._replies = 0
        self._batches = Batches(self._seed, round(self.setup.day_seconds * NANO), self._batch_line)

    def answer(self, request: Request) -> Reply:
        self._replies += 1
        try:
            reply = self._route(request)
        except Refusal as refusal:
            self.ledger.count(refusal.label)
            reply = refused(refusal)
        except _Refused as known:
            reply = refused(known.refusal)
        reply.headers.setdefault("x-request-id", f"req_{self._seed.draws('reply', self._replies).token('id')}")
        return reply

    # ---------------------------------------------------------------------------------------------------- where to

    def _route(self, request: Request) -> Reply:
        method = "GET" if request.method == "HEAD" else request.method
        places: dict[str, dict[str, Callable[[Request], Reply]]] = {
            "/v1/chat/completions": {"POST": self._chat},
            "/v1/embeddings": {"POST": self._embed},
            "/v1/files": {"POST": self._upload},
            "/v1/batches": {"POST": self._begin_batch},
            "/v1/models": {"GET": self._list_models},
            "/sim/pricing": {"GET": self._pricing},
            "/sim/clock": {"GET": self._tell_time},
            "/sim/budget": {"GET": self._tell_budget},
            "/sim/status": {"GET": self._tell_status},
            "/sim/limits": {"GET": self._tell_limits},
        }
        known = places.get(request.path) or self._single(request.path)
        if not known:
            raise Refusal(404, f"Invalid URL ({request.method} {request.path[:200]})")
        if request.path.startswith("/v1/"):
            self._check_key(request)
        if method not in known:
            raise Refusal(405, f"Not allowed to {request.method} on {request.path[:200]} (HINT: use {min(known)}).")
        if self.frozen:
            raise Refusal(503, "The server is overloaded.", "overloaded", kind="server_error")
        return known[method](request)

    def _single(self, path: str) -> dict[str, Callable[[Request], Reply]]:
        """Places that name one thing."""
        parts = path.split("/")[1:]
        now = self.clock.now()
        match parts:
            case ["v1", "models", name]:
                return {"GET": lambda _: json_reply(_model_body(self._model(name)))}
            case ["v1", "files", name]:
                return {"GET": lambda _: json_reply(self._batches.file(name).as_dict())}
            case ["v1", "files", name, "content"]:
                return {"GET": lambda _: Reply(200, self._batches.file(name).content, kind="application/octet-stream")}
            case ["v1", "batches", name]:
                return {"GET": lambda _: json_reply(self._batches.batch(name, now).as_dict())}
            case _:
                return {}

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if not key or scheme.lower() != "bearer":
            raise Refusal(401, "You didn't provide an API key. Send it as: Authorization: Bearer YOUR_KEY")
        if not hmac.compare_digest(key.strip().encode(), self.setup.key.encode()):
            raise Refusal(401, "Incorrect API key provided.", "invalid_api_key")

    def _model(self, name: str, embeds: bool | None = None) -> Model:
        model = self._models.get(name)
        if model is None:
            raise Refusal(404, f"The model '{name[:100]}' does not exist.", "model_not_found", param="model")
        if embeds is not None and model.embeds is not embeds:
            what = "embeddings" if embeds else "chat completions"
            raise Refusal(404, f"The model '{name}' gives no {what}.", "model_not_found", param="model")
        return model

    def _on_sale(self, model: Model, now: int) -> Model:
        return on_sale(model, self.setup.price_changes, now)

    # ----------------------------------------------------------------------------------------------- letting calls in

    def _let_in(self, request: Request, kind: str, model: Model, digest: bytes, requests: int, tokens: int) -> Call:
        if self.ledger.full:
            raise Refusal(
                429, "You have made more calls than this provider counts.", "rate_limit_exceeded", kind="requests"
            )
        now = request.at
        occurrence = self._seen.next(digest)
        draws = self._seed.draws(digest, occurrence)
        tag = request.headers.get("x-request-tag", "")
        tag = tag[:LONGEST_TAG] if tag.isprintable() else ""
        incidents = tuple(
            one
            for one in self.incidents.at(now, model)
            if draws.uniform("hit", one.kind, one.target, str(one.start)) < one.share
        )
        call = Call(kind, self._on_sale(model, now), digest, occurrence, draws, incidents, 0.0, now, tag)
        if call.hit_by("outage"):
            self._refuse(call, tokens, Refusal(503, "The server is overloaded.", "overloaded", kind="server_error"))
        if call.hit_by("error"):
            self._refuse(
                call, tokens, Refusal(500, "The server had an error while processing your request.", "server_error",
                                      kind="server_error")
            )  # fmt: skip
        call = self._take_limits(call, requests, tokens)
        if self.ledger.exhausted:
            message = "You exceeded your current quota, please check your plan and billing details."
            self._refuse(call, tokens, Refusal(429, message, "insufficient_quota", kind="insufficient_quota"))
        return call

    def _take_limits(self, call: Call, requests: int, tokens: int) -> Call:
        if not self.clock.real:
            return call
        share = 1.0
        for incident in call.incidents:
            share *= incident.amount if incident.kind == "limit" else 1
        wait, lacking = self._limits.take(call.model.name, requests, tokens, call.now, share)
        if wait:
            milliseconds = -(-wait // 1_000_000)
            headers = {"retry-after-ms": str(milliseconds), "retry-after": str(-(-milliseconds // 1000))}
            message = (
                f"Rate limit reached for {call.model.name} on {lacking} per min. Please try again in {milliseconds}ms."
            )
            self._refuse(
                call, tokens, Refusal(429, message, "rate_limit_exceeded", kind=lacking,
                                      headers=headers | self._limit_headers(call.model))
            )  # fmt: skip
        return replace(call, load=max(bucket.use for bucket in self._limits.of(call.model.name)))

    def _refuse(self, call: Call, tokens: int, refusal: Refusal) -> None:
        """With a row, for free."""
        hold = self.ledger.hold(0, call.now)
        row = self._row(call, hold, refusal.status, refusal.label, prompt_tokens=tokens)
        self.ledger.settle(hold, row)
        raise _Refused(refusal)

    def _row(self, call: Call, hold: Hold, status: int, code: str = "", **rest: Any) -> Row:
        return Row(
            hold.number, call.now, call.kind, call.model.name, _trace(call), call.digest.hex()[:32], call.occurrence,
            status, code, tag=call.tag, **rest,
        )  # fmt: skip

    def _limit_headers(self, model: Model) -> dict[str, str]:
        headers = {}
        for name, bucket in zip(("requests", "tokens"), self._limits.of(model.name), strict=True):
            headers[f"x-ratelimit-limit-{name}"] = str(bucket.per_minute)
            headers[f"x-ratelimit-remaining-{name}"] = str(bucket.left)
            headers[f"x-ratelimit-reset-{name}"] = f"{bucket.lacks(bucket.size) // 1_000_000}ms"
        return headers

    # ---------------------------------------------------------------------------------------------------------- chat

    def _chat(self, request: Request) -> Reply:
        asked = chat_request(loads(request.body))
        model, room = self._fitting(asked)
        call = self._let_in(request, "chat", model, asked.digest, 1, asked.prompt_tokens)
        said, text, why = self._say(asked, call, room)
        model = call.model
        cached = 0
        if model.cached is not None and asked.prompt_tokens >= 1024:
            cached = self._cache.read("", model.name, asked.messages, call.now)
        tokens = simtok.count(text)
        price = cost(model, asked.prompt_tokens, cached, tokens, factor=self.setup.scale)
        slower = call.slower
        first = model.first_token * (1 + LOAD * call.load**3) + asked.prompt_tokens / model.reads
        begins = call.now + round(first * slower * NANO)
        ends = begins + round(tokens / model.writes * slower * NANO)
        usage = {
            "prompt_tokens": asked.prompt_tokens, "completion_tokens": tokens,
            "total_tokens": asked.prompt_tokens + tokens, "prompt_tokens_details": {"cached_tokens": cached},
        }  # fmt: skip
        body = chat_body(asked, _trace(call), ORIGIN + call.now // NANO, text, why, usage, said.confidence)
        reply = json_reply(body)
        reply.due = ends
        if asked.stream:
            reply.kind, reply.due = "text/event-stream", begins
            reply.pieces = chat_pieces(body, begins, ends, with_usage=asked.with_usage, logprobs=asked.logprobs)
            if (cut := call.hit_by("cut")) is not None:
                reply.pieces = first_tokens(reply.pieces, int(cut.amount))
        details = {"prompt_tokens": asked.prompt_tokens, "cached_tokens": cached, "item": said.item,
                   "correct": said.correct, "latency": ends - call.now}  # fmt: skip
        return self._sold(call, reply, price, tokens, details)

    def _fitting(self, asked: ChatRequest) -> tuple[Model, int]:
        """The model, and how many tokens its answer may have."""
        model = self._model(asked.model, embeds=False)
        room = model.context - asked.prompt_tokens
        if room < 1:
            raise Refusal(
                400, f"This model's maximum context length is {model.context} tokens. However, your messages resulted "
                f"in {asked.prompt_tokens} tokens. Please reduce the length of the messages.",
                "context_length_exceeded", param="messages",
            )  # fmt: skip
        return model, room

    def _say(self, asked: ChatRequest, call: Call, room: int) -> tuple[Said, str, str]:
        said = self._brain.answer(asked, call.model, call.draws)
        text, why = asked.limited(said.text, room)
        return said, text, why

    def _sold(self, call: Call, reply: Reply, price: int, tokens: int, details: Mapping[str, Any]) -> Reply:
        """Hold the money for a reply, and see to it that what becomes of the reply is what is paid for."""
        ledger = self.ledger  # also when it is reset before the reply is out
        hold = ledger.hold(price, call.now)
        reply.headers |= {"x-sim-cost-usd": in_dollars(price), **self._limit_headers(call.model)}
        hangs, cut = call.hit_by("hang") is not None, call.hit_by("cut") is not None
        if hangs:
            reply.silent, reply.due = True, call.now + HANG_SECONDS * NANO
        reply.cut = cut and not hangs

        def settle(delivery: Delivery) -> None:
            if delivery.complete:
                row = self._row(call, hold, 200, answer_tokens=tokens, cost=price, **details)
            elif hangs or cut:  # the provider's own fault is free
                row = self._row(call, hold, 0, "hang" if hangs else "cut", **details)
            else:
                row = self._row(call, hold, 0, "gone", **self._left(call, delivery, price, details))
            ledger.settle(hold, row)

        reply.settle = settle
        return reply

    def _left(self, call: Call, delivery: Delivery, price: int, details: Mapping[str, Any]) -> dict[str, Any]:
        """What somebody pays who hung up: the prompt once it has been read, and what was sent of the answer."""
        paid = 0
        if delivery.tokens or delivery.at - call.now >= PAID_AFTER:
            prompt, cached = details["prompt_tokens"], details.get("cached_tokens", 0)
            paid = cost(call.model, prompt, cached, delivery.tokens, factor=self.setup.scale)
        return {**details, "answer_tokens": delivery.tokens, "cost": min(price, paid)}

    # ---------------------------------------------------------------------------------------------------- embeddings

    def _embed(self, request: Request) -> Reply:
        asked = embedding_request(loads(request.body))
        model = self._model(asked.model, embeds=True)
        counts = [simtok.count(text) for text in asked.inputs]
        for number, tokens in enumerate(counts):
            if tokens > model.context:
                raise Refusal(
                    400, f"This model's maximum context length is {model.context} tokens, however you requested "
                    f"{tokens} tokens in input[{number}]. Please reduce your prompt.",
                    "context_length_exceeded", param="input",
                )  # fmt: skip
        total = sum(counts)
        call = self._let_in(request, "embeddings", model, asked.digest, len(counts), total)
        vectors = []
        for number, text in enumerate(asked.inputs):
            vector: Any = self._embedding.vector(model.name, text)
            if asked.base64:
                vector = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
            vectors.append({"object": "embedding", "index": number, "embedding": vector})
        usage = {"prompt_tokens": total, "total_tokens": total}
        reply = json_reply({"object": "list", "data": vectors, "model": model.name, "usage": usage})
        seconds = (model.first_token * (1 + LOAD * call.load**3) + total / model.reads) * call.slower
        reply.due = call.now + round(seconds * NANO)
        price = cost(call.model, total, 0, 0, factor=self.setup.scale)
        return self._sold(call, reply, price, 0, {"prompt_tokens": total, "latency": reply.due - call.now})

    # ------------------------------------------------------------------------------------------------------- batches

    def _upload(self, request: Request) -> Reply:
        purpose, name, content = uploaded(request.headers.get("content-type", ""), request.body)
        return json_reply(self._batches.keep(name, purpose, content, self.clock.now()).as_dict())

    def _begin_batch(self, request: Request) -> Reply:
        now = self.clock.now()
        batch = self._batches.begin(loads(request.body), now)
        self.work_waits.set()
        return json_reply(batch.as_dict())

    def work(self) -> bool:
        """Answer one line of a batch, if any waits."""
        return self._batches.work()

    def _batch_line(self, asked: ChatRequest) -> tuple[int, dict[str, Any]]:
        """As one call, for half the price and outside all limits but the budget."""
        try:
            model, room = self._fitting(asked)
        except Refusal as error:
            self.ledger.count(error.label)
            return error.status, error.body
        occurrence = self._seen.next(asked.digest)
        draws = self._seed.draws(asked.digest, occurrence)
        now = self.clock.now()
        call = Call("batch", self._on_sale(model, now), asked.digest, occurrence, draws, (), 0.0, now, "")
        if self.ledger.exhausted or self.ledger.full:
            refusal = Refusal(429, "You exceeded your current quota.", "insufficient_quota", kind="insufficient_quota")
            if not self.ledger.full:
                hold = self.ledger.hold(0, now)
                row = self._row(call, hold, 429, refusal.label, prompt_tokens=asked.prompt_tokens)
                self.ledger.settle(hold, row)
            return refusal.status, refusal.body
        said, text, why = self._say(asked, call, room)
        tokens = simtok.count(text)
        price = cost(call.model, asked.prompt_tokens, 0, tokens, factor=self.setup.scale * BATCH_DISCOUNT)
        hold = self.ledger.hold(price, now)
        self.ledger.settle(
            hold, self._row(call, hold, 200, prompt_tokens=asked.prompt_tokens, answer_tokens=tokens, cost=price,
                            item=said.item, correct=said.correct)
        )  # fmt: skip
        usage = {
            "prompt_tokens": asked.prompt_tokens, "completion_tokens": tokens,
            "total_tokens": asked.prompt_tokens + tokens, "prompt_tokens_details": {"cached_tokens": 0},
        }  # fmt: skip
        return 200, chat_body(asked, _trace(call), ORIGIN + now // NANO, text, why, usage, said.confidence)

    # -------------------------------------------------------------------------------------------- what may be looked up

    def _list_models(self, _: Request) -> Reply:
        return json_reply({"object": "list", "data": [_model_body(model) for model in self.setup.card]})

    def _pricing(self, _: Request) -> Reply:
        return json_reply(notices.pricing(self.setup, self.clock.now()))

    def _tell_time(self, _: Request) -> Reply:
        return json_reply(notices.time(self.setup, self.clock.now()))

    def _tell_budget(self, _: Request) -> Reply:
        return json_reply(notices.budget(self.ledger.spending()))

    def _tell_status(self, _: Request) -> Reply:
        return json_reply(notices.status(self.incidents, self.clock.now()))

    def _tell_limits(self, _: Request) -> Reply:
        limits = {model.name: self._limit_headers(model) for model in self.setup.card}
        return json_reply(limits)


class _Refused(Exception):
    """A refusal whose row has been written."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


def _trace(call: Call) -> str:
    prefix = "embd" if call.kind == "embeddings" else "chatcmpl"
    return f"{prefix}-{call.draws.token('trace')}"


def _model_body(model: Model) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": ORIGIN, "owned_by": model.vendor}
