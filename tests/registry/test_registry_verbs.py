"""The registry's verbs: what people ask for becomes records, or a sentence that says why not."""

from __future__ import annotations

from hashlib import sha256

import pytest
from msgspec import UNSET
from registry.desk import BASE, CHANCE, NOW_MS, Desk

from attribune.model.activity import Platform
from attribune.model.control import (
    App,
    FormerSecret,
    Key,
    KeyKind,
    Link,
    PartnerKind,
    Scope,
)
from attribune.model.errors import Conflict, Invalid, NotFound
from attribune.model.policy import DAY_MS, Windows
from attribune.registry import apps, devices, find, hosting, keys, links, policies, signing
from attribune.registry.naming import readable_id, slug, text
from attribune.registry.requests import (
    AddApp,
    AddKey,
    ImportDevices,
    ImportedDevice,
    RotateKey,
    SetTestDevice,
)
from attribune.registry.targets import checked_url, resolve
from attribune.registry.view import Registry

# --- apps and products


def test_an_app_makes_its_product_and_its_first_key() -> None:
    desk = Desk()
    app = desk.add_app(timezone="Europe/Berlin", currency="EUR")
    product = desk.registry.product(app.product)
    assert (app.id, app.product) == ("game-android", "game")
    assert (product.name, product.timezone, product.currency) == ("Game", "Europe/Berlin", "EUR")
    assert app.key.startswith("ak_")
    key = desk.registry.key(sha256(app.key.encode()).hexdigest())
    assert (key.kind, key.app, key.hint) == (KeyKind.APP, app.id, app.key[-4:])


@pytest.mark.parametrize("said", ["game", "Game", " gAME "])
def test_an_app_joins_a_product_by_id_or_name(desk: Desk, said: str) -> None:
    app = desk.add_app(platform=Platform.IOS, store_id="id1234567890", product=said)
    assert (app.product, app.store_id) == ("game", "1234567890")
    assert len(desk.registry.products) == 1


def test_an_app_names_a_new_product(desk: Desk) -> None:
    app = desk.add_app(product="Other Game")
    assert app.product == "other-game"
    assert app.id != "game-android"  # taken, so a few random signs stand behind it
    assert app.id.startswith("game-android-")


def test_two_products_may_have_one_name_and_then_the_id_tells_them_apart(desk: Desk) -> None:
    other = desk.add_app().product
    assert other != "game"
    with pytest.raises(Invalid, match=other):
        find.product(desk.registry, "Game")
    assert find.product(desk.registry, "game").id == "game"  # an id is nobody else's


def test_an_app_is_registered_once_in_a_product(desk: Desk) -> None:
    with pytest.raises(Conflict, match="game-android") as refused:
        desk.add_app(product="game")
    assert refused.value.param == "store_id"


def test_who_joins_a_product_does_not_change_its_days_or_money(desk: Desk) -> None:
    with pytest.raises(Conflict) as refused:
        desk.add_app(product="game", platform=Platform.IOS, store_id="1234567890", currency="EUR")
    assert refused.value.param == "currency"


@pytest.mark.parametrize(
    ("words", "param"),
    [
        ({"name": "  "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"store_id": "no package"}, "store_id"),
        ({"store_id": ""}, "store_id"),
        ({"platform": Platform.IOS, "store_id": "!!"}, "store_id"),
        ({"platform": Platform.WEB, "store_id": "http://example.com"}, "store_id"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"currency": "DOGE"}, "currency"),
        ({"currency": "eur"}, "currency"),
        ({"origins": ("javascript:alert(1)",)}, "origins"),
        ({"apple_team_id": "short"}, "apple_team_id"),
        ({"sha256_cert_fingerprints": ("AA:BB",)}, "sha256_cert_fingerprints"),
    ],
)
def test_an_app_that_cannot_be_is_refused_with_the_field(words: dict, param: str) -> None:
    with pytest.raises(Invalid) as refused:
        Desk().add_app(**words)
    assert refused.value.param == param


def test_a_site_is_its_own_first_origin() -> None:
    app = Desk().add_app(
        platform=Platform.WEB, store_id="shop.example.com", origins=("https://b.example",)
    )
    assert app.store_id == "https://shop.example.com"
    assert app.origins == ("https://shop.example.com", "https://b.example")


def test_a_signing_secret_is_shown_once(desk: Desk) -> None:
    app = desk.add_app(product="Signed", is_signed=True)
    assert app.signing_secret.startswith("ss_")
    assert desk.registry.app(app.id).signing_secret == app.signing_secret


# --- partners


def test_a_partner_is_called_by_its_name(desk: Desk) -> None:
    assert find.partner(desk.registry, "ACME").id == "acme"


def test_the_same_partner_again_is_the_one_that_stands(desk: Desk) -> None:
    before = len(desk.records)
    assert desk.add_partner().id == "acme"
    assert len(desk.records) == before


def test_a_partner_of_the_same_name_and_another_kind_is_refused(desk: Desk) -> None:
    with pytest.raises(Conflict, match="acme"):
        desk.add_partner(kind=PartnerKind.NETWORK)


def test_names_that_leave_nothing_in_ascii_get_an_id_all_the_same() -> None:
    desk = Desk()
    first, second = desk.add_partner("广告"), desk.add_partner("реклама")
    assert first.id != second.id
    assert first.id.isascii()
    assert slug("  Füll & Co. ") == "full-co"


def test_an_id_never_repeats() -> None:
    taken = {"acme"}
    assert readable_id("acme", taken, CHANCE) not in taken


def test_a_partners_signing_secret_is_made_of_chance_and_shown_once(desk: Desk) -> None:
    made = desk.sign()
    assert made.signing_secret.startswith("cs_")
    assert len(made.signing_secret) == 35
    kept = desk.registry.partner("acme")
    assert (kept.signing_secret, kept.former_secrets, kept.name) == (
        made.signing_secret,
        (),
        "acme",
    )
    assert desk.sign(overlap_ms=0).signing_secret != made.signing_secret
    assert desk.add_partner().signing_secret is UNSET


def test_a_rotated_signing_secret_holds_for_its_overlap_and_no_longer_by_another(
    desk: Desk,
) -> None:
    first, second = desk.sign().signing_secret, desk.sign(overlap_ms=5000).signing_secret
    former = [FormerSecret(signing_secret=first, ends_at_ms=NOW_MS + 5000)]
    assert desk.registry.partner("acme").former_secrets == tuple(former)
    desk.sign(overlap_ms=DAY_MS)
    former.insert(0, FormerSecret(signing_secret=second, ends_at_ms=NOW_MS + DAY_MS))
    assert desk.registry.partner("acme").former_secrets == tuple(former)
    desk.sign(now_ms=NOW_MS + 5000, overlap_ms=1000)
    kept = desk.registry.partner("acme").former_secrets
    assert [one.ends_at_ms for one in kept] == [NOW_MS + 6000, NOW_MS + 6000]
    assert first not in [one.signing_secret for one in kept]


def test_an_overlap_of_nothing_ends_every_secret_before(desk: Desk) -> None:
    for _ in range(3):
        desk.sign()
    desk.sign(overlap_ms=0)
    assert desk.registry.partner("acme").former_secrets == ()


def test_only_so_many_signing_secrets_hold_at_a_time(desk: Desk) -> None:
    for _ in range(signing.SIGNING_SECRETS_MAX):
        newest = desk.sign().signing_secret
    with pytest.raises(Invalid, match="overlap of 0") as refused:
        desk.sign()
    assert refused.value.param == "overlap_ms"
    assert desk.registry.partner("acme").signing_secret == newest
    desk.sign(overlap_ms=0)


@pytest.mark.parametrize("overlap_ms", [-1, keys.OVERLAP_MS_MAX + 1])
def test_the_overlap_of_a_signing_secret_has_bounds(desk: Desk, overlap_ms: int) -> None:
    desk.sign()
    with pytest.raises(Invalid) as refused:
        desk.sign(overlap_ms=overlap_ms)
    assert refused.value.param == "overlap_ms"


def test_signing_that_has_ended_has_no_secret_at_all(desk: Desk) -> None:
    desk.sign()
    desk.sign()
    assert desk.keep(signing.unsign(desk.registry, "acme")).is_signing is False
    kept = desk.registry.partner("acme")
    assert (kept.signing_secret, kept.former_secrets) == (None, ())
    assert signing.unsign(desk.registry, "acme").records == ()


# --- links


def test_a_link_has_its_addresses_and_the_products_stores(desk: Desk) -> None:
    link = desk.add_link(campaign="Spring Sale")
    assert link.id.startswith("spring-sale-")
    assert link.click_url == f"{BASE}/c/{link.id}"
    assert link.impression_url == f"{BASE}/i/{link.id}"
    assert (
        link.targets["android"] == "https://play.google.com/store/apps/details?id=com.example.game"
    )
    assert desk.registry.link(link.id).targets == {}  # derived when asked, so later apps are served


def test_a_link_serves_apps_that_came_later(desk: Desk) -> None:
    link = desk.add_link()
    desk.add_app(product="game", platform=Platform.IOS, store_id="1234567890")
    desk.add_app(product="game", platform=Platform.WEB, store_id="https://game.example/")
    shown = links.show(desk.registry, desk.registry.link(link.id), BASE)
    assert shown.targets["ios"] == "https://apps.apple.com/app/id1234567890"
    assert shown.targets["other"] == "https://game.example/"


def test_a_links_own_target_wins_over_the_store() -> None:
    app = App(id="a", product="p", name="a", platform=Platform.ANDROID, store_id="com.example.a")
    link = Link(id="l", product="p", partner="x", targets={"android": "https://example.com/apk"})
    assert resolve(link, [app]) == {
        "android": "https://example.com/apk",
        "other": "https://example.com/apk",
    }


def test_a_link_is_edited_word_by_word(desk: Desk) -> None:
    link = desk.add_link(campaign="spring", creative="blue", is_retargeting=True)
    desk.edit_link(link.id, campaign="summer", creative="", opens=("ip",))
    edited = desk.registry.link(link.id)
    assert (edited.campaign, edited.creative, edited.is_retargeting) == ("summer", None, True)
    assert edited.opens == ("ip",)
    before = len(desk.records)
    desk.edit_link(link.id, campaign="summer")
    assert len(desk.records) == before


@pytest.mark.parametrize(
    ("words", "param"),
    [
        ({"targets": {"android": "http://example.com/"}}, "targets.android"),
        ({"targets": {"android": "https://user:pw@example.com/"}}, "targets.android"),
        ({"targets": {"android": "javascript:alert(1)"}}, "targets.android"),
        ({"targets": {"android": "https://exämple.com/"}}, "targets.android"),
        ({"targets": {"android": "https://example.com/\nx"}}, "targets.android"),
        ({"targets": {"android": "https://[::1"}}, "targets.android"),
        ({"targets": {"android": "https://example.com/" + "x" * 2048}}, "targets.android"),
        ({"targets": {"palm": "https://example.com/"}}, "targets"),
        ({"allowed_hosts": ("https://example.com",)}, "allowed_hosts"),
        ({"allowed_networks": ("everybody",)}, "allowed_networks"),
        ({"allowed_networks": ("192.0.2.1/24",)}, "allowed_networks"),
        ({"allowed_hosts": tuple(f"h{n}.example" for n in range(65))}, "allowed_hosts"),
        ({"opens": ("partner",)}, "opens"),
        ({"deep_link": "javascript:alert(1)"}, "deep_link"),
        ({"deep_link": "level 3"}, "deep_link"),
        ({"campaign": "a\x00b"}, "campaign"),
        ({"app": None}, "app"),
        ({"product": "game"}, "app"),
    ],
)
def test_a_link_that_may_not_be_is_refused_with_the_field(
    desk: Desk, words: dict, param: str
) -> None:
    with pytest.raises(Invalid) as refused:
        desk.add_link(**words)
    assert refused.value.param == param


def test_plain_http_may_lead_to_this_machine_only() -> None:
    for url in ("http://127.0.0.1:8000/", "http://localhost/", "http://[::1]/"):
        assert checked_url(url, "url") == url
    with pytest.raises(Invalid):
        checked_url("http://127.0.0.1.example.com/", "url")


@pytest.mark.parametrize("word", ["app", "partner"])
def test_what_a_link_names_must_be_there(desk: Desk, word: str) -> None:
    with pytest.raises(NotFound) as refused:
        desk.add_link(**{word: "nobody"})
    assert refused.value.param == word


# --- keys and doors


def test_a_secret_is_never_kept(desk: Desk) -> None:
    made = keys.add_key(
        desk.registry, AddKey(kind=KeyKind.SERVER, app="game-android"), CHANCE, NOW_MS
    )
    [record] = made.records
    assert isinstance(record, Key)
    assert made.answer.secret.startswith("sk_")
    assert made.answer.secret not in repr(record)
    assert record.sha256 == sha256(made.answer.secret.encode()).hexdigest()


def test_secrets_have_160_bits(desk: Desk) -> None:
    secrets = {
        keys.add_key(
            desk.registry, AddKey(kind=KeyKind.API, scopes=(Scope.READ,)), CHANCE, NOW_MS
        ).answer.secret
        for _ in range(50)
    }
    assert len(secrets) == 50
    assert all(len(secret) == len("api_") + 32 for secret in secrets)


@pytest.mark.parametrize(
    ("want", "param"),
    [
        (AddKey(kind=KeyKind.SERVER), "app"),
        (AddKey(kind=KeyKind.API, app="game-android", scopes=(Scope.READ,)), "app"),
        (AddKey(kind=KeyKind.API), "scopes"),
        (AddKey(kind=KeyKind.APP, app="game-android", scopes=(Scope.READ,)), "scopes"),
    ],
)
def test_a_keys_kind_says_what_it_needs(desk: Desk, want: AddKey, param: str) -> None:
    with pytest.raises(Invalid) as refused:
        keys.add_key(desk.registry, want, CHANCE, NOW_MS)
    assert refused.value.param == param


def test_a_rotated_key_holds_for_the_overlap(desk: Desk) -> None:
    old = desk.keep(
        keys.add_key(desk.registry, AddKey(kind=KeyKind.SERVER, app="Game"), CHANCE, NOW_MS)
    )
    new = desk.keep(
        keys.rotate_key(desk.registry, old.id, RotateKey(overlap_ms=1000), CHANCE, NOW_MS)
    )
    assert desk.registry.keys.at(old.id).ends_at_ms == NOW_MS + 1000
    assert (new.kind, new.app, new.state) == (old.kind, old.app, "active")
    with pytest.raises(Invalid, match="ended"):
        keys.rotate_key(desk.registry, old.id, RotateKey(), CHANCE, NOW_MS + 1000)


def test_rotating_again_never_lengthens_a_keys_life(desk: Desk) -> None:
    old = desk.keep(
        keys.add_key(desk.registry, AddKey(kind=KeyKind.SERVER, app="Game"), CHANCE, NOW_MS)
    )
    for overlap_ms in (1000, 999_000):
        desk.keep(
            keys.rotate_key(desk.registry, old.id, RotateKey(overlap_ms=overlap_ms), CHANCE, NOW_MS)
        )
    assert desk.registry.keys.at(old.id).ends_at_ms == NOW_MS + 1000


def test_a_revoked_key_has_ended_and_stays_so(desk: Desk) -> None:
    key = desk.keep(
        keys.add_key(desk.registry, AddKey(kind=KeyKind.SERVER, app="Game"), CHANCE, NOW_MS)
    )
    assert desk.keep(keys.revoke_key(desk.registry, key.id, NOW_MS)).state == "ended"
    assert keys.revoke_key(desk.registry, key.id, NOW_MS + 5).records == ()


# --- policies


def test_policies_are_versions(desk: Desk) -> None:
    assert policies.policy_in_force(desk.registry, "game").version == "attribune@0"
    assert desk.set_policy(preset="strict").version == "strict@1"
    assert desk.set_policy(policy={"name": "ours", "hold_ms": 0}).version == "ours@2"
    assert desk.set_policy(policy={"name": "ours", "hold_ms": 0}).version == "ours@2"  # nothing new
    assert [p.version for p in policies.policy_versions(desk.registry, "Game")] == [
        "strict@1",
        "ours@2",
    ]


def test_a_file_changes_only_what_it_names(desk: Desk) -> None:
    shown = desk.set_policy(preset="strict", policy={"windows": {"click_deterministic_ms": DAY_MS}})
    assert shown.policy.windows.click_deterministic_ms == DAY_MS
    assert shown.policy.windows.impression_deterministic_ms == DAY_MS
    assert shown.policy.inactivity_ms == 0


def test_overrides_name_partners_and_links_of_the_product(desk: Desk) -> None:
    link = desk.add_link()
    shown = desk.set_policy(
        policy={
            "partner_windows": {"ACME": {"click_deterministic_ms": 5}},
            "link_windows": {link.id: {"click_probabilistic_ms": 0}},
        }
    )
    assert shown.policy.partner_windows == {"acme": Windows(click_deterministic_ms=5)}
    desk.add_app(name="Other", store_id="com.example.other")
    foreign = desk.add_link(app="other-android")
    with pytest.raises(Invalid, match="another product"):
        desk.set_policy(policy={"link_windows": {foreign.id: {}}})


@pytest.mark.parametrize(
    ("words", "param"),
    [
        ({}, "preset"),
        ({"preset": "nobody"}, "preset"),
        ({"policy": {"hold": 1}}, "hold"),
        ({"policy": {"windows": {"click_ms": 1}}}, "windows"),
        ({"policy": {"partner_windows": {"acme": {"click": 1}}}}, "partner_windows.acme"),
        ({"policy": {"hold_ms": "soon"}}, "policy"),
        ({"policy": {"hold_ms": -1}}, "hold_ms"),
        ({"policy": {"customer_binding": "second"}}, "policy"),
        ({"policy": {"customer_window_ms": 401 * DAY_MS}}, "customer_window_ms"),
        ({"policy": {"hold_ms": 401 * DAY_MS}}, "hold_ms"),
        ({"policy": {"windows": {"click_deterministic_ms": -1}}}, "click_deterministic_ms"),
        ({"policy": {"order": []}}, "order"),
        ({"policy": {"order": ["click_deterministic", "click_deterministic"]}}, "order"),
        ({"policy": {"name": "!"}}, "name"),
        ({"policy": {"assists_max": 5000}}, "assists_max"),
        ({"policy": {"partner_windows": 5}}, "partner_windows"),
        ({"policy": {"probabilistic_on_hosting": "no"}}, "policy"),
    ],
)
def test_rules_that_cannot_be_are_refused_with_the_field(
    desk: Desk, words: dict, param: str
) -> None:
    with pytest.raises(Invalid) as refused:
        desk.set_policy(**words)
    assert refused.value.param == param


def test_hosting_networks_are_kept_in_one_form(desk: Desk) -> None:
    given = [
        "2001:DB8:0::/48",
        "198.51.100.7",
        " 192.0.2.0/255.255.255.0 ",
        "192.0.2.0/24",
        "::ffff:203.0.113.0/120",
        "2001:db8::1",
        "17.0.0.0/8",
    ]
    shown = desk.set_policy(policy={"name": "ours", "hosting_networks": given})
    assert shown.policy.hosting_networks == (
        "17.0.0.0/8",
        "192.0.2.0/24",
        "198.51.100.7/32",
        "203.0.113.0/24",
        "2001:db8::/48",
        "2001:db8::1/128",
    )
    again = desk.set_policy(policy={"name": "ours", "hosting_networks": given[::-1]})
    assert again.version == "ours@1", "the same networks in another order are the same rules"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("hetzner", "write a network such as"),
        ("", "write a network such as"),
        ("192.0.2.0/33", "write a network such as"),
        ("192.0.2.1/24", "write a network such as"),
        ("192.0.2.0-192.0.2.255", "write a network such as"),
        ("fe80::%eth0/64", "write a network such as"),
        ("2001:db8::/129", "write a network such as"),
        (24, "write a network such as"),
        (None, "write a network such as"),
        ("0.0.0.0/0", "too wide; write networks of /8 or longer"),
        ("10.0.0.0/7", "too wide; write networks of /8 or longer"),
        ("2000::/15", "too wide; write networks of /16 or longer"),
        ("::ffff:0:0/96", "too wide; write networks of /8 or longer"),
        ("::/16", "too wide; write networks of /8 or longer"),
    ],
)
def test_an_entry_that_is_no_network_of_a_provider_is_named_with_its_place(
    desk: Desk, entry: object, why: str
) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        desk.set_policy(policy={"hosting_networks": ["192.0.2.0/24", "2001:db8::/32", entry]})
    assert refused.value.param == "hosting_networks[2]"
    assert f"hosting_networks[2] is {entry!r}" in refused.value.message


@pytest.mark.parametrize("given", ["192.0.2.0/24", 5, None, {"192.0.2.0/24": True}])
def test_hosting_networks_are_a_list(desk: Desk, given: object) -> None:
    with pytest.raises(Invalid, match="list of networks such as") as refused:
        desk.set_policy(policy={"hosting_networks": given})
    assert refused.value.param == "hosting_networks"


def test_a_list_of_hosting_networks_and_what_errors_repeat_of_it_are_bounded(desk: Desk) -> None:
    networks = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(hosting.NETWORKS_MAX)]
    shown = desk.set_policy(policy={"hosting_networks": networks})
    assert len(shown.policy.hosting_networks) == hosting.NETWORKS_MAX
    with pytest.raises(Invalid, match="not 50001; leave out") as refused:
        desk.set_policy(policy={"hosting_networks": [*networks, networks[0]]})
    assert refused.value.param == "hosting_networks"
    with pytest.raises(Invalid) as refused:
        desk.set_policy(policy={"hosting_networks": ["9" * 100_000]})
    assert len(refused.value.message) < 200


# --- devices


def test_a_test_device_is_of_a_product_and_may_be_taken_back(desk: Desk) -> None:
    desk.keep(devices.set_test_device(desk.registry, SetTestDevice(id="d1", app="Game")))
    assert desk.registry.is_test("game", "d1")
    assert [d.id for d in devices.test_devices(desk.registry)] == ["d1"]
    desk.keep(
        devices.set_test_device(desk.registry, SetTestDevice(id="d1", app="Game", is_test=False))
    )
    assert devices.test_devices(desk.registry) == []


def known(desk: Desk, *rows: ImportedDevice):
    return devices.known_devices(desk.registry, ImportDevices(app="Game", devices=rows), NOW_MS)


def test_an_imported_device_has_a_record_id_that_a_second_import_repeats(desk: Desk) -> None:
    row = ImportedDevice(id="d1", ids={"gaid": "g1"}, last_seen_at_ms=5)
    [first], [again] = known(desk, row), known(desk, row)
    assert first == again
    assert (first.device.id, first.device.ids, first.last_seen_at_ms) == ("d1", {"gaid": "g1"}, 5)


def test_a_device_known_by_its_advertising_id_only_gets_an_id_of_ours(desk: Desk) -> None:
    [record] = known(
        desk, ImportedDevice(ids={"gaid": "g1", "idfa": "00000000-0000-0000-0000-000000000000"})
    )
    assert record.device.ids == {"gaid": "g1"}
    assert record.device.id.startswith("imported_")


@pytest.mark.parametrize(
    "row",
    [
        ImportedDevice(),
        ImportedDevice(id="00000000-0000-0000-0000-000000000000"),
        ImportedDevice(id="d1", ids={"imei": "1"}),
        ImportedDevice(id="d1", last_seen_at_ms=NOW_MS + 1),
        ImportedDevice(id="a\x00b"),
    ],
)
def test_a_device_that_nobody_has_is_refused_with_its_place(
    desk: Desk, row: ImportedDevice
) -> None:
    with pytest.raises(Invalid, match=r"devices\[1\]"):
        known(desk, ImportedDevice(id="fine"), row)


def test_text_is_one_line() -> None:
    assert text("  Füll ", "name") == "Füll"
    for bad in ("", "a\rb", "a\ud800b"):
        with pytest.raises(Invalid):
            text(bad, "name")


def test_the_same_chance_gives_the_same_records() -> None:
    """The verbs are pure: the same registry and the same chance give the same records."""

    class Fixed:
        def token(self, size: int) -> bytes:
            return bytes(range(size))

    def make():
        return apps.add_app(
            Registry(),
            AddApp(name="Game", platform=Platform.ANDROID, store_id="com.example.game"),
            Fixed(),
            NOW_MS,
        )

    assert make() == make()
