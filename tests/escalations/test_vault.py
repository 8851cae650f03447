"""Secrets are sealed with keys of their own, and keys are told apart without being kept."""

import base64

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from escalations import vault

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@given(st.binary(max_size=200))
def test_what_is_sealed_comes_back_and_does_not_show(plain):
    sealed = vault.seal(plain)
    assert vault.unseal(sealed) == plain
    assert vault.unseal(memoryview(sealed)) == plain
    assert len(plain) < 4 or plain not in sealed


def test_an_old_key_still_opens_and_the_new_one_seals(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    sealed = vault.seal(b"whsec_x")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert vault.unseal(sealed) == b"whsec_x"
    fresh = vault.seal(b"whsec_y")
    settings.ENCRYPTION_KEYS = [NEW]
    assert vault.unseal(fresh) == b"whsec_y"
    with pytest.raises(vault.CannotUnseal):
        vault.unseal(sealed)


def test_the_session_key_opens_nothing(settings):
    sealed = vault.seal(b"secret")
    settings.SECRET_KEY = "another"
    assert vault.unseal(sealed) == b"secret"


@given(st.integers(min_value=0))
def test_a_changed_bit_is_noticed(at):
    sealed = bytearray(base64.urlsafe_b64decode(vault.seal(b"secret")))
    sealed[at // 8 % len(sealed)] ^= 1 << at % 8
    with pytest.raises(vault.CannotUnseal):
        vault.unseal(base64.urlsafe_b64encode(bytes(sealed)))


@pytest.mark.parametrize("keys", [[], ["short"], ["!" * 44]])
def test_keys_that_are_none_are_told(settings, keys):
    settings.ENCRYPTION_KEYS = keys
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS"):
        vault.seal(b"x")


@pytest.mark.parametrize("prefix", vault.PREFIXES)
def test_a_minted_key_is_read_back_and_matches_only_itself(prefix):
    minted, other = vault.mint(prefix), vault.mint(prefix)
    assert vault.parse_key(minted.text) == (prefix, minted.key_id, minted.secret)
    assert vault.matches(minted.secret, minted.secret_hash)
    assert not vault.matches(other.secret, minted.secret_hash)
    assert minted.secret not in minted.secret_hash
    assert minted.secret not in repr(minted)
    assert len(minted.key_id) <= 24


def test_a_prefix_nobody_knows_is_not_minted():
    with pytest.raises(ValueError):
        vault.mint("cs_root")


@pytest.mark.parametrize(
    "text",
    ["", "cs_live", "cs_live__", "cs_live_abc", "sk_live_abcdefgh_" + "a" * 43, "cs_live_abcdefghijkl_short", "cs_live_abcdefghijkl_" + "é" * 43,
     "cs_live_abcdefghijkl_" + "a" * 43 + "\n", " cs_live_abcdefghijkl_" + "a" * 43, "cs_live_abcdefghijkl_" + "a" * 43 + "_x", "cs_live_" + "a" * 25 + "_" + "a" * 43],
)
def test_what_is_no_key_is_none(text):
    assert vault.parse_key(text) is None


@given(st.text(max_size=120))
def test_parsing_never_fails(text):
    assert vault.parse_key(text) is None or text.startswith("cs_")
    assert vault.matches(text, "0" * 64) is False


def test_a_signing_secret_is_one_of_standard_webhooks():
    secret = vault.new_signing_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    assert secret != vault.new_signing_secret()
