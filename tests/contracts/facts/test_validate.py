"""Judging texts and products, with the key and as often as is allowed, alike in every form."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.facts import facts
from tests.contracts.facts.facts import ask, judge
from tests.contracts.farm.conftest import BEFORE, PHASES, Opened, in_forms
from tests.contracts.farm.running import Running

PACKAGE = "services.facts"
ENVIRONMENT = facts.ENVIRONMENT
in_two_forms = in_forms(BEFORE, PHASES[0])


def test_root_and_health_need_no_key(http: Running) -> None:
    """Both answer without a key; ours says in addition whether the database is there."""
    assert http.get("/").json() == {
        "service": "TAAS Validation API", "version": "1.0.0", "status": "operational",
        "endpoints": ["/validate", "/docs"],
    }  # fmt: skip
    assert http.get("/health").json()["status"] == "healthy"


def test_the_key_is_asked_for_before_the_body(http: Running) -> None:
    """Without the key, or with another, even a body that is no JSON is a 401."""
    for headers in ({}, {"X-Api-Key": "other"}, {"X-Api-Key": ""}, {"X-Api-Key": b"\xe9"}):
        for path in ("/validate", "/api/process-products"):
            answer = http.post(path, headers={**headers, "Content-Type": "application/json"}, content=b"{")
            assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid or missing API key"})


def test_a_server_without_key(http: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without API_KEY nobody gets in, unless ALLOW_OPEN_ACCESS is 1, true, yes or on."""
    monkeypatch.delenv("API_KEY")
    for word in ("", "0", "false", "maybe"):
        monkeypatch.setenv("ALLOW_OPEN_ACCESS", word)
        answer = http.post("/validate", json={"input_text": "a"}, headers={"X-Api-Key": "any"})
        assert (answer.status_code, answer.json()) == (500, {"detail": "API key not configured on server"})
    for word in ("1", "true", "YES", "on"):
        monkeypatch.setenv("ALLOW_OPEN_ACCESS", word)
        assert http.post("/validate", json={"input_text": "a"}).status_code == 200


@in_two_forms
@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 400, "input_text is required"),
        ({"input_text": None}, 400, "input_text is required"),
        ({"input_text": 3}, 400, "Input text must be a string"),
        ({"input_text": False}, 400, "Input text must be a string"),
        ({"input_text": ["a"]}, 400, "Input text must be a string"),
        ({"input_text": {"a": None}}, 400, "Input text must be a string"),
    ],
)
def test_what_is_no_text(http: Running, body: dict[str, Any], status: int, detail: str) -> None:
    """A text that is missing, null or of another type is a 400 that says so."""
    answer = ask(http, "POST", "/validate", json=body)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


@in_two_forms
@pytest.mark.parametrize("body", [b"[]", b'"text"', b"3", b"{", b""])
def test_a_body_that_is_no_object(http: Running, body: bytes) -> None:
    """Any other JSON, and what is none, is a 422."""
    answer = ask(http, "POST", "/validate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


@in_forms(PHASES[0], PHASES[-1])
@pytest.mark.parametrize("context", [b"NaN", b"-Infinity", b'"\\ud800"', b'{"a": [NaN]}', b"[" * 101 + b"]" * 101])
def test_a_context_that_cannot_be_answered(http: Running, context: bytes) -> None:
    """What JSON has no form for, or is nested too deeply, is a 422, as the context is part of the answer."""
    body = b'{"input_text": "some text", "context": ' + context + b"}"
    answer = ask(http, "POST", "/validate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "context"]


def test_an_empty_text_is_noise(http: Running) -> None:
    """The whole answer for an empty text."""
    assert judge(http, "") == {
        "coherence_score": 0.0, "noise_detected": True, "validation_passed": False, "deception_detected": False,
        "deception_type": None, "deception_probability": 0.0,
        "details": {
            "status": "noise", "findings": ["Text is too short", "Input detected as noise"],
            "matched_correction_phrases": [],
            "repetition": {"has_repetition": False, "repetition_count": 0, "matched_phrases": []},
            "metadata": {"text_length": 0, "word_count": 0, "context": None},
        },
    }  # fmt: skip


@in_two_forms
@pytest.mark.parametrize(
    ("text", "context", "score"),
    [
        ("    ", None, 0.0),
        ("a", None, 0.2),
        ("abcd", None, 0.2),
        ("  abcd  ", None, 0.2),
        ("abcde", None, 0.5),
        ("abcdefghijklmnopqrs", None, 0.5),
        ("a b c d e", None, 0.6),  # 9 characters, five words
        ("a b c d e", "testing", 0.65),
        ("The river runs to sea.", None, 0.8),  # 22 characters, five words
        ("Rivers lead somewhere", None, 0.7),  # 21 characters, three words
        ("Rivers lead somewhere", {}, 0.7),
        ("Rivers lead somewhere", "", 0.7),
        ("Rivers lead somewhere", {"a": 1}, 0.75),
        ("Rivers lead somewhere, they always do so", None, 1.0),  # 40 characters, seven words
        ("Rivers lead somewhere, they always do so", "c", 1.0),
        ("Floods-and-droughts-come-after-each-other", None, 0.9),
        ("نهر النيل طويل جدا وعريض", None, 0.8),  # 24 characters, five words
    ],
)
def test_the_score_of_length_words_and_context(http: Running, text: str, context: Any, score: float) -> None:
    """Length gives 0 to 0.9, five words 0.1 more, a context that is not empty 0.05, and 1 is the most."""
    told = judge(http, text, context=context)
    assert told["coherence_score"] == score
    assert told["validation_passed"] is (score >= 0.5)
    assert told["noise_detected"] is (score < 0.5)
    assert told["details"]["metadata"] == {
        "text_length": len(text.strip()), "word_count": len(text.split()), "context": context,
    }  # fmt: skip


@in_two_forms
@pytest.mark.parametrize(
    ("text", "phrases", "score"),
    [
        ("abcabc", ["abcabc"], 0.375),  # 0.5 x 0.75
        ("ABCabc", ["ABCabc"], 0.375),
        ("xabcabcabcy", ["abcabcabc"], 0.375),
        ("abab", [], 0.2),  # runs of two letters do not count
        ("go go gone", [], 0.5),
        ("go go go", ["go go go"], 0.375),
        ("Go gO GO go now", ["Go gO GO go"], 0.45),  # five words: 0.6 x 0.75
        ("a a a a a", [], 0.6),  # words of one letter do not count
        ("abcabc xyzxyz", ["abcabc", "xyzxyz"], 0.25),  # 0.5 x 0.5
        ("abcabc ABCABC", ["abcabc"], 0.375),  # the same one twice
        ("abcabc defdef ghighi", ["abcabc", "defdef", "ghighi"], 0.21),  # 20 characters: 0.7 x (1 - 0.7)
        ("123123 123123", [], 0.5),  # digits are no letters
        ("نعم نعم نعم", ["نعم نعم نعم"], 0.375),
    ],
)
def test_repetitions(http: Running, text: str, phrases: list[str], score: float) -> None:
    """Each distinct repetition takes a quarter of the score away, at most seven tenths."""
    told = judge(http, text)
    assert told["details"]["repetition"] == {
        "has_repetition": bool(phrases), "repetition_count": len(phrases), "matched_phrases": phrases,
    }  # fmt: skip
    assert told["coherence_score"] == score
    assert ("Repetitive token sequences detected" in told["details"]["findings"]) is bool(phrases)


@in_two_forms
@pytest.mark.parametrize(
    ("text", "probability", "phrases"),
    [
        ("this is wrong", 0.9, ["wrong"]),
        ("WRONG!", 0.9, ["wrong"]),
        ("wrongly put", 0, []),
        ("incorrect sum", 0.9, ["incorrect"]),
        ("it is not correct", 0.9, ["not correct"]),
        ("it is not right", 0.9, ["not right"]),
        ("you are wrong", 0.9, ["wrong", "you are wrong"]),
        ("You said ten but actually two", 0.9, ["you said ten but actually", "you said ten but", "actually two"]),
        ("you said ten but two", 0.9, ["you said ten but"]),
        ("you said but", 0, []),
        ("you said ten\nbut two", 0, []),
        ("that's wrong", 0.9, ["wrong", "that's wrong"]),
        ("That's incorrect", 0.9, ["incorrect", "that's incorrect"]),
        ("it shows 404", 0.85, ["shows 404", "404"]),
        ("it show 404", 0.85, ["show 404", "404"]),
        ("404 page", 0.85, ["404 page", "404"]),
        ("The site shows 404 not found", 0.85, ["shows 404", "404 not", "404", "not found"]),
        ("a 404", 0.8, ["404"]),
        ("4040 pages", 0, []),
        ("the deployment was not found", 0.85, ["deployment was not found", "not found"]),
        ("deployment failed", 0.85, ["deployment failed"]),
        ("not yet deployed", 0.85, ["not yet deployed"]),
        ("not deployed", 0.85, ["not deployed", "not deployed"]),
        ("not live", 0.8, ["not live"]),
        ("it does not exist", 0.8, ["does not exist"]),
        ("it doesn't exist", 0.8, ["doesn't exist"]),
        ("not found", 0.8, ["not found"]),
        ("XML Parsing Error", 0.8, ["xml parsing error"]),
        ("a parsererror", 0.8, ["parsererror"]),
        ("not well-formed", 0.8, ["not well-formed"]),
        ("actually blue", 0.8, ["actually blue"]),
        ("actually", 0, []),
        ("in fact it is", 0.8, ["in fact "]),
        ("No, thanks", 0.7, ["no"]),
        ("no thanks", 0.7, ["no"]),
        ("no.", 0.7, ["no"]),
        ("no", 0, []),
        ("nothing", 0, []),
        ("oh no, thanks", 0, []),
        ("no, that is wrong", 0.9, ["wrong", "no"]),
        ("no, it is not deployed", 0.85, ["not deployed", "not deployed", "no"]),
        ("all is well", 0, []),
    ],
)
def test_corrections(http: Running, text: str, probability: float, phrases: list[str]) -> None:
    """The surest words count, each expression is named as it stands in the text in lower case."""
    told = judge(http, text)
    assert told["deception_probability"] == probability
    assert told["details"]["matched_correction_phrases"] == phrases
    assert told["deception_detected"] is (probability > 0)
    assert told["deception_type"] == ("user_correction" if probability else None)


@in_two_forms
def test_a_correction_lowers_the_score(http: Running) -> None:
    """Three tenths of its probability: 0.8 x (1 - 0.27), and all findings stand in their order."""
    told = judge(http, "I think that is wrong now")
    assert told["coherence_score"] == 0.584
    assert told["details"]["findings"] == ["Deception pattern detected: user_correction"]
    short = judge(http, "404")
    assert short["coherence_score"] == 0.152  # 0.2 x 0.76
    assert short["details"]["findings"] == [
        "Text is too short", "Input detected as noise", "Deception pattern detected: user_correction",
    ]  # fmt: skip
    noisy = judge(http, "abcabc wrong")
    assert noisy["coherence_score"] == 0.274  # 0.5 x 0.75 x 0.73
    assert noisy["details"]["findings"] == [
        "Input detected as noise", "Repetitive token sequences detected", "Deception pattern detected: user_correction",
    ]  # fmt: skip
    assert judge(http, "a wrong one")["coherence_score"] == 0.365


@in_two_forms
def test_a_long_text_costs_no_more_than_its_length(http: Running) -> None:
    """Texts that begin an expression over and over are judged at once."""
    for word in ("deployment ", "not ", "you said ", "abc", "no "):
        assert judge(http, word * 20_000)["details"]["metadata"]["text_length"] > 50_000


def test_the_rate_limit(http: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many texts of a client with a key in a minute; the next is a 429 until the minute is over."""
    limiter = opened.module("access").limiter
    moment = 100.0
    limiter.clock = lambda: moment
    statuses = [ask(http, "POST", "/validate", json={"input_text": "a"}).status_code for _ in range(61)]
    assert statuses == [200] * 60 + [429]
    moment += 59.5
    refused = ask(http, "POST", "/validate", json={})
    assert (refused.status_code, refused.json()) == (429, {"detail": "Rate limit exceeded: 60 per 1 minute"})
    assert refused.headers["retry-after"] == "1"
    assert ask(http, "POST", "/api/process-products", json=[]).status_code == 200
    assert http.post("/validate", json={}).status_code == 401
    monkeypatch.setenv("API_KEY", "another")
    assert http.post("/validate", json={"input_text": "a"}, headers={"X-Api-Key": "another"}).status_code == 200
    monkeypatch.setenv("API_KEY", facts.KEY)
    moment += 0.5
    assert ask(http, "POST", "/validate", json={"input_text": "a"}).status_code == 200
    monkeypatch.setenv("VALIDATE_RATE_LIMIT", "2 per 10 seconds")
    moment += 100
    statuses = [ask(http, "POST", "/validate", json={"input_text": "a"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_products(http: Running) -> None:
    """Each product comes back with what it lacks and its score; the summary counts them."""
    whole = {"make": "Haier", "model": "HWF75AW3", "category": "washing_machine", "price": 454.0}
    scored = {**whole, "attributes": {"reliability": 0.94, "performance": 0.9, "efficiency": 0.9, "colour": "white"}}
    blank = {**whole, "model": "  ", "attributes": {"performance": 0, "efficiency": None}}
    answer = ask(http, "POST", "/api/process-products", json=[{**scored, "other": 1}, whole, blank])
    assert answer.json() == {
        "summary": {"processed": 3, "valid": 2, "invalid": 1},
        "results": [
            {"product": scored, "missing_fields": [], "bbfb_score": 0.913},
            {"product": {**whole, "attributes": {}}, "missing_fields": [], "bbfb_score": None},
            {"product": blank, "missing_fields": ["model"], "bbfb_score": 0.0},
        ],
    }
    empty = ask(http, "POST", "/api/process-products", json=[]).json()
    assert empty == {"summary": {"processed": 0, "valid": 0, "invalid": 0}, "results": []}


@in_two_forms
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("make", ""), ("make", None), ("model", 3), ("category", ""), ("price", 0), ("price", -1), ("price", "x"),
        ("attributes", []), ("attributes", {"reliability": 1.01}), ("attributes", {"performance": -0.1}),
        ("attributes", {"efficiency": "high"}),
    ],
)  # fmt: skip
def test_products_that_are_none(http: Running, field: str, value: Any) -> None:
    """A field that is empty, of another type or out of its range is a 422 that names the field and the product."""
    good = {"make": "m", "model": "o", "category": "c", "price": 1, "attributes": {}}
    answer = ask(http, "POST", "/api/process-products", json=[good, {**good, field: value}])
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:3] == ["body", 1, field]
