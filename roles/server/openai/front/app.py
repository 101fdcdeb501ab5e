"""The front as a web application: routes, keys, errors, streams."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import HttpVersion11, web

from . import answers
from .chat_template import ConversationError
from .errors import ApiError, internal, invalid, too_long, unavailable
from .generation import Job, Piece, Prompt, generate, job
from .keys import check_key
from .requests import Asked, ChatRequest, CompletionRequest, parse
from .served import Served
from .triton import Triton
from .vocabulary import Vocabulary

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: The largest request, in bytes.
_LARGEST = 4 << 20

#: Characters of a text whose tokens are had at once, in about 5 ms.
_LONG = 5_000

#: Half of a character of two, as JSON can write it, and no tokenizer can read.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

#: Of a completion whose max_tokens is not given (OpenAI API reference, "Create completion").
_COMPLETION = 16

#: Of a chat where neither request nor model say how long an answer may be.
_CHAT = 1024

#: Asked without a key: whoever watches the server has none.
_OPEN = frozenset({"/health", "/health/live"})

_LOG = logging.getLogger("front")


@dataclass(frozen=True)
class Options:
    """What the front is started with.

    Attributes:
        triton: URL of its HTTP API.
        folders: with tokenizer and template; what the model itself names comes before them.
        max_seq_len: tokens of prompt and answer together; 0: what the folders say.
        key: what has to be asked with; empty: nothing.
    """

    triton: str
    model: str
    folders: tuple[Path, ...]
    max_seq_len: int = 0
    key: str = ""


@dataclass(frozen=True)
class _Work:
    """What a request comes to."""

    form: answers.Form
    model: Served
    vocabulary: Vocabulary
    jobs: tuple[Job, ...]
    prompt_tokens: int
    echo: bool = False


class Front:
    """The handlers, and what they share."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._created = int(time.time())
        self._vocabularies: dict[tuple[Path, ...], Vocabulary] = {}
        self._triton: Triton

    def application(self) -> web.Application:
        """The web application."""
        app = web.Application(middlewares=[_errors, self._keys], client_max_size=_LARGEST)
        app.cleanup_ctx.append(self._connected)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/health/live", self._live),
                web.get("/v1/models", self._models),
                web.get("/v1/models/{name:.+}", self._model),
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/completions", self._completion),
            ]
        )
        return app

    async def _connected(self, _: web.Application) -> AsyncGenerator[None, None]:
        self._triton = Triton(self._options.triton)
        yield
        await self._triton.close()

    @web.middleware
    async def _keys(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._options.key and request.path not in _OPEN:
            check_key(self._options.key, request.headers.get("Authorization", ""))
        return await handler(request)

    async def _health(self, _: web.Request) -> web.Response:
        if not await self._triton.is_ready():
            raise unavailable("the server that runs the model is not ready")
        return web.json_response({"status": "ready"})

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [await self._card()]})

    async def _model(self, request: web.Request) -> web.Response:
        self._check_model(request.match_info["name"])
        return web.json_response(await self._card())

    async def _card(self) -> answers.Json:
        vocabulary = self._vocabulary(await self._triton.served())
        return answers.model(self._options.model, self._created, self._limit(vocabulary))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = parse(ChatRequest, await _body(request))
        self._check_model(asked.model)
        model = await self._triton.served()
        vocabulary = self._vocabulary(model)
        if not vocabulary.template.text:
            raise invalid(
                "the model has no chat template, so it cannot hold a conversation; "
                "ask /v1/completions instead",
                "messages",
            )
        try:
            text = vocabulary.template.render(
                [message.plain() for message in asked.messages], asked.chat_template_kwargs
            )
        except ConversationError as error:
            raise invalid(f"the model's chat template failed: {error}", "messages") from error
        # The template writes the special tokens itself.
        prompt = await _prompt(vocabulary, text, special=False)
        return await self._answer(request, asked, model, vocabulary, [prompt], "messages")

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        asked = parse(CompletionRequest, await _body(request))
        self._check_model(asked.model)
        model = await self._triton.served()
        vocabulary = self._vocabulary(model)
        prompts = [await _prompt(vocabulary, said, special=True) for said in asked.prompts]
        return await self._answer(request, asked, model, vocabulary, prompts, "prompt")

    async def _answer(
        self,
        request: web.Request,
        asked: Asked,
        model: Served,
        vocabulary: Vocabulary,
        prompts: Sequence[Prompt],
        param: str,
    ) -> web.StreamResponse:
        chat = param == "messages"
        jobs = []
        for prompt in prompts:
            room = self._room(asked, vocabulary, prompt, param)
            jobs += [job(asked, model, vocabulary, prompt, room, index) for index in range(asked.n)]
        kind = "chatcmpl" if chat else "cmpl"
        form = answers.Form(
            f"{kind}-{secrets.token_hex(12)}", int(time.time()), self._options.model, chat
        )
        work = _Work(
            form,
            model,
            vocabulary,
            tuple(jobs),
            sum(len(prompt.ids) for prompt in prompts),
            isinstance(asked, CompletionRequest) and asked.echo,
        )
        if asked.stream:
            return await self._stream(request, work, usage=asked.include_usage)
        return await self._whole(work)

    def _room(self, asked: Asked, vocabulary: Vocabulary, prompt: Prompt, param: str) -> int:
        """How many tokens the answer may have.

        Raises:
            ApiError: the model's context cannot hold it.
        """
        used, limit = len(prompt.ids), self._limit(vocabulary)
        if not used:
            raise invalid("the prompt is empty: there is nothing to go on with", param)
        least = 1 if asked.max_tokens is None else asked.max_tokens
        if limit and used + least > limit:
            raise too_long(limit, used, least, param)
        if vocabulary.limits.prompt and used > vocabulary.limits.prompt:
            raise too_long(vocabulary.limits.prompt, used, 0, param)
        if asked.max_tokens is not None:
            return asked.max_tokens
        room = limit - used if limit else _CHAT
        return room if param == "messages" else min(room, _COMPLETION)

    async def _whole(self, work: _Work) -> web.Response:
        found = await _all([_collect(self._pieces(work, index)) for index in range(len(work.jobs))])
        tokens = sum(one.tokens for one in found)
        return web.json_response(work.form.whole(found, answers.usage(work.prompt_tokens, tokens)))

    async def _stream(
        self, request: web.Request, work: _Work, *, usage: bool
    ) -> web.StreamResponse:
        async with aclosing(
            _merged([self._pieces(work, index) for index in range(len(work.jobs))])
        ) as pieces:
            # What is refused at once has a status of its own.
            first = await anext(pieces)
            response = await _begun(request)
            null = {"usage": None} if usage else {}
            if work.form.chat:
                for index in range(len(work.jobs)):
                    await _send(response, {**work.form.begin(index), **null})
            tokens = 0
            try:
                async for index, piece in _after(first, pieces):
                    tokens += piece.tokens if piece.finish else 0
                    for text, finish in _chunks(piece, chat=work.form.chat):
                        await _send(response, {**work.form.chunk(index, text, finish), **null})
            except ApiError as error:
                await _send(response, error.body())
            except ConnectionResetError:
                raise  # the client has gone
            except Exception:
                # A status can no longer be sent; a second answer would end up in this one.
                await _send(response, _defect(request).body())
            else:
                if usage:
                    counted = answers.usage(work.prompt_tokens, tokens)
                    await _send(response, work.form.last(counted))
                await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        return response

    async def _pieces(self, work: _Work, index: int) -> AsyncGenerator[Piece, None]:
        wanted = work.jobs[index]
        if work.echo:
            yield Piece(wanted.prompt.text)
        coming = generate(self._triton, work.model, work.vocabulary, wanted)
        async with aclosing(coming) as pieces:
            async for piece in pieces:
                yield piece

    def _check_model(self, name: str) -> None:
        if name != self._options.model:
            raise ApiError(
                404,
                f"The model '{name}' does not exist; this server has '{self._options.model}'.",
                param="model",
                code="model_not_found",
            )

    def _limit(self, vocabulary: Vocabulary) -> int:
        return self._options.max_seq_len or vocabulary.limits.whole

    def _vocabulary(self, model: Served) -> Vocabulary:
        """The tokenizer of what is served now, which may be another than the settings say."""
        named = tuple(Path(path) for path in model.directories)
        folders = tuple(dict.fromkeys((*named, *self._options.folders)))
        if folders not in self._vocabularies:
            found = Vocabulary.load(folders)
            if found is None:
                places = ", ".join(map(str, folders))
                raise internal(f"there is no tokenizer.json in {places}")
            self._vocabularies = {folders: found}
        return self._vocabularies[folders]


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error in OpenAI's shape."""
    allowed: frozenset[str] | set[str] = frozenset()
    try:
        return await handler(request)
    except ApiError as error:
        said = error
    except web.HTTPNotFound:
        said = ApiError(
            404, f"Unknown request URL: {request.method} {request.path}.", code="unknown_url"
        )
    except web.HTTPMethodNotAllowed as error:
        allowed = error.allowed_methods
        said = ApiError(
            405, f"Not allowed: {request.method} {request.path}.", code="method_not_supported"
        )
    except web.HTTPRequestEntityTooLarge:
        said = ApiError(413, f"The request has more than {_LARGEST} bytes.")
    except (ConnectionResetError, web.HTTPException):
        raise  # the client has gone, or it is no error
    except Exception:
        said = _defect(request)
    headers = {"WWW-Authenticate": "Bearer"} if said.status == 401 else {}
    if allowed:
        headers["Allow"] = ", ".join(sorted(allowed))
    if said.status in (429, 503):
        headers["Retry-After"] = "1"
    return web.json_response(said.body(), status=said.status, headers=headers)


async def _body(request: web.Request) -> Any:
    # A page of another site can send anything else without asking (CORS "simple requests").
    if request.content_type != "application/json":
        raise invalid("send the request as JSON, with Content-Type: application/json")
    try:
        text = await request.read()
        said = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(said, ensure_ascii=False).encode()
    except web.RequestPayloadError as error:
        raise invalid(f"the body of the request cannot be read: {error}") from error
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise invalid(
            f"the request has {half}, half of a character, without its other half"
        ) from error
    except (ValueError, RecursionError) as error:
        raise invalid(f"We could not parse the JSON body of your request: {error}") from error
    return said


async def _prompt(vocabulary: Vocabulary, said: str | Sequence[int], *, special: bool) -> Prompt:
    """``special``: a text is given the special tokens that the tokenizer puts around one."""
    if isinstance(said, str):
        # Tokens of a long text take seconds, in which other answers have to go on.
        if len(said) > _LONG:
            ids = await asyncio.to_thread(vocabulary.encode, said, special=special)
        else:
            ids = vocabulary.encode(said, special=special)
        return Prompt(said, tuple(ids))
    if any(one >= vocabulary.tokenizer.get_vocab_size() for one in said):
        raise invalid("prompt: it has ids that are no token", "prompt", "invalid_value")
    return Prompt(vocabulary.decode(said), tuple(said))


def _defect(request: web.Request) -> ApiError:
    """What the exception that is handled now is to the client."""
    _LOG.exception("error: %s %s failed", request.method, request.path)
    return internal("the front failed; its log says why")


def _chunks(piece: Piece, *, chat: bool) -> list[tuple[str, str | None]]:
    """The chunks for a piece; in a chat the reason to end stands in one of its own."""
    if not chat or not piece.finish:
        return [(piece.text, piece.finish)]
    return [*([(piece.text, None)] if piece.text else []), ("", piece.finish)]


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
        }
    )
    if request.version < HttpVersion11:
        response.force_close()  # nothing but the end of the connection ends the stream
    await response.prepare(request)
    return response


async def _send(response: web.StreamResponse, data: Mapping[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n")


async def _collect(pieces: AsyncGenerator[Piece, None]) -> answers.Answered:
    """All pieces of one answer."""
    texts: list[str] = []
    async with aclosing(pieces) as coming:
        async for piece in coming:
            texts.append(piece.text)
            if piece.finish:
                return answers.Answered("".join(texts), piece.finish, piece.tokens)
    raise internal("the model's answer has no end")


async def _all(wanted: Sequence[Any]) -> list[answers.Answered]:
    """The results of all; where one fails or the client goes, the others end as well."""
    tasks = [asyncio.ensure_future(one) for one in wanted]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _merged(
    sources: Sequence[AsyncGenerator[Piece, None]],
) -> AsyncGenerator[tuple[int, Piece], None]:
    """The pieces of several answers as they come, each with the number of its answer."""
    arrived: asyncio.Queue[tuple[int, Piece] | BaseException | None] = asyncio.Queue(64)

    async def read(index: int, source: AsyncGenerator[Piece, None]) -> None:
        try:
            async with aclosing(source) as pieces:
                async for piece in pieces:
                    await arrived.put((index, piece))
        except Exception as error:
            await arrived.put(error)
        else:
            await arrived.put(None)

    tasks = [asyncio.ensure_future(read(*item)) for item in enumerate(sources)]
    try:
        left = len(tasks)
        while left:
            item = await arrived.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _after(
    first: tuple[int, Piece], rest: AsyncGenerator[tuple[int, Piece], None]
) -> AsyncGenerator[tuple[int, Piece], None]:
    yield first
    async for item in rest:
        yield item
