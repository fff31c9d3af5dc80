"""Receivers of the settings, with their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from streamgauge.alert.notify.base import Receiver
from streamgauge.alert.notify.receivers.alertmanager import AlertmanagerReceiver
from streamgauge.alert.notify.receivers.email import EmailReceiver
from streamgauge.alert.notify.receivers.http import HttpSender
from streamgauge.alert.notify.receivers.pagerduty import PagerDutyReceiver
from streamgauge.alert.notify.receivers.slack import SlackReceiver
from streamgauge.alert.notify.receivers.webhook import WebhookReceiver
from streamgauge.alert.notify.secrets import Secret, secret_of
from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError
from streamgauge.notify_settings import (
    AlertmanagerSettings,
    EmailSettings,
    PagerDutySettings,
    ReceiverSettings,
    SlackSettings,
    WebhookSettings,
)

_NONE: Final = Secret("")


class Makers:
    """One receiver after the other, with what they have in common."""

    def __init__(self, clock: Clock, environment: Mapping[str, str], *, s_max: float, external_url: str) -> None:
        """`s_max`: of one try. `external_url`: where people find this server."""
        self._clock, self._environment, self._s_max, self._external_url = clock, environment, s_max, external_url

    def make(self, settings: ReceiverSettings) -> Receiver:
        """Raises ConfigError where a secret is missing, and names the variable or the file."""
        match settings:
            case ReceiverSettings(slack=SlackSettings() as slack):
                made: Receiver = self._slack(settings.name, slack)
            case ReceiverSettings(pagerduty=PagerDutySettings() as pagerduty):
                made = self._pagerduty(settings.name, pagerduty)
            case ReceiverSettings(webhook=WebhookSettings() as webhook):
                made = self._webhook(settings.name, webhook)
            case ReceiverSettings(email=EmailSettings() as email):
                made = self._email(settings.name, email)
            case ReceiverSettings(alertmanager=AlertmanagerSettings() as alertmanager):
                made = self._alertmanager(settings.name, alertmanager)
            case _:
                raise AssertionError("settings of a receiver have a kind")
        if settings.sends_per_minute_max is not None:
            made.sends_per_minute = settings.sends_per_minute_max
        return made

    def _slack(self, name: str, slack: SlackSettings) -> Receiver:
        return SlackReceiver(name, self._sender(self._webhook_url(name, slack)))

    def _pagerduty(self, name: str, pagerduty: PagerDutySettings) -> Receiver:
        key = self._secret(name, pagerduty.routing_key_env, pagerduty.routing_key_file)
        return PagerDutyReceiver(name, self._sender(Secret(pagerduty.url), hide=key), key)

    def _webhook(self, name: str, webhook: WebhookSettings) -> Receiver:
        token = self._secret(name, webhook.bearer_token_env, webhook.bearer_token_file)
        sender = self._sender(self._webhook_url(name, webhook), token=token)
        return WebhookReceiver(name, sender, self._external_url)

    def _email(self, name: str, email: EmailSettings) -> Receiver:
        password = self._secret(name, email.password_env, email.password_file)
        return EmailReceiver(name, email, password, s_max=self._s_max)

    def _alertmanager(self, name: str, alertmanager: AlertmanagerSettings) -> Receiver:
        token = self._secret(name, alertmanager.bearer_token_env, alertmanager.bearer_token_file)
        url = Secret(f"{alertmanager.url.rstrip('/')}/api/v2/alerts")
        return AlertmanagerReceiver(name, self._sender(url, token=token))

    def _sender(self, url: Secret, *, token: Secret = _NONE, hide: Secret = _NONE) -> HttpSender:
        return HttpSender(url, self._clock, s_max=self._s_max, token=token, hide=(hide,))

    def _webhook_url(self, name: str, settings: SlackSettings | WebhookSettings) -> Secret:
        url = self._secret(name, settings.webhook_url_env, settings.webhook_url_file, settings.url)
        if not url.reveal().startswith(("http://", "https://")):
            where = settings.webhook_url_env or settings.webhook_url_file
            raise ConfigError(
                f"the receiver {name!r} has in {where} no address of a webhook", hint="it begins with https://"
            )
        return url

    def _secret(self, name: str, variable: str, file: str, plain: str = "") -> Secret:
        what = f"the receiver {name!r}"
        return secret_of(what, variable=variable, file=file, environment=self._environment, plain=plain)


def address_of(settings: ReceiverSettings) -> str:
    """Where it is, as far as that is no secret: never the path of a webhook."""
    match settings:
        case (
            ReceiverSettings(pagerduty=PagerDutySettings(url=url))
            | ReceiverSettings(alertmanager=AlertmanagerSettings(url=url))
        ):
            return _host(url)
        case ReceiverSettings(email=EmailSettings() as email):
            return f"{', '.join(email.to)} by {email.host}:{email.port}"
        case ReceiverSettings(slack=SlackSettings() as hidden) | ReceiverSettings(webhook=WebhookSettings() as hidden):
            if hidden.url:
                return _host(hidden.url)
            return f"${hidden.webhook_url_env}" if hidden.webhook_url_env else hidden.webhook_url_file
    return ""


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
