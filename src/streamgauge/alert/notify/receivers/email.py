"""E-mail, over SMTP. A retry has the same Message-ID, messages about one group are one thread."""

from __future__ import annotations

import asyncio
import html
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from streamgauge.alert.base import Alert
from streamgauge.alert.notify.base import Notification, Refused, TryAgain
from streamgauge.alert.notify.secrets import Secret
from streamgauge.alert.notify.texts import cut, labels_text, since_text, summary, title, trend, value_text
from streamgauge.notify_settings import EmailSettings

ALERTS_MAX: Final = 100
_SUBJECT_CHARS_MAX: Final = 200
_TRANSIENT_END: Final = 500


class EmailReceiver:
    sends_per_minute = 60

    def __init__(self, name: str, settings: EmailSettings, password: Secret, *, s_max: float) -> None:
        self.name, self._settings, self._password, self._s_max = name, settings, password, s_max

    async def send(self, notification: Notification) -> str:
        message = email_message(notification, self._settings)
        try:
            return await asyncio.to_thread(self._deliver, message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise self._failure(max(codes, default=550), error) from None
        except smtplib.SMTPResponseException as error:
            raise self._failure(error.smtp_code, error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(self._password.hidden_in(str(error))) from None
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"its certificate is not good: {error.verify_message}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise TryAgain(self._password.hidden_in(str(error)) or type(error).__name__) from None

    async def close(self) -> None:
        """Each message has a connection of its own."""

    def _deliver(self, message: EmailMessage) -> str:
        settings = self._settings
        with self._connected() as server:
            if settings.tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if settings.username:
                server.login(settings.username, self._password.reveal())
            refused = server.send_message(message, settings.from_, settings.to)
        if refused:
            return f"accepted, but not for {', '.join(refused)}"
        return f"accepted for {', '.join(settings.to)}"

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.tls == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(settings.host, settings.port, timeout=self._s_max, context=context)
        return smtplib.SMTP(settings.host, settings.port, timeout=self._s_max)

    def _failure(self, code: int, error: smtplib.SMTPException) -> TryAgain | Refused:
        text = error.smtp_error if isinstance(error, smtplib.SMTPResponseException) else str(error)
        shown = text.decode(errors="replace") if isinstance(text, bytes) else text
        message = self._password.hidden_in(f"it answered {code} {shown}")
        return TryAgain(message) if code < _TRANSIENT_END else Refused(message)


def email_message(notification: Notification, settings: EmailSettings) -> EmailMessage:
    domain = settings.from_.rpartition("@")[2]
    thread = f"<{notification.dedup_key[:32]}@{domain}>"
    message = EmailMessage()
    message["Subject"] = cut(" ".join(title(notification).split()), _SUBJECT_CHARS_MAX)
    message["From"] = settings.from_
    message["To"] = ", ".join(settings.to)
    message["Date"] = format_datetime(datetime.fromtimestamp(notification.made_at_ms / 1000, UTC))
    message["Message-ID"] = f"<{notification.dedup_key[:32]}.{notification.made_at_ms}@{domain}>"
    message["In-Reply-To"] = message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"
    shown = notification.alerts[:ALERTS_MAX]
    more = len(notification.alerts) - len(shown)
    note = "This is a test of the receiver. Nothing is wrong.\n\n" if notification.is_test else ""
    rest = f"\n\nand {more} more" if more else ""
    message.set_content(note + "\n\n".join(_plain(alert) for alert in shown) + rest)
    body = "".join(_html(alert) for alert in shown)
    message.add_alternative(f"<html><body><p>{note}</p>{body}<p>{rest}</p></body></html>", subtype="html")
    return message


def _lines(alert: Alert) -> list[str]:
    lines = [f"value {value_text(alert.value)}", since_text(alert), labels_text(alert.labels)]
    return [line for line in (trend(alert), *lines) if line]


def _plain(alert: Alert) -> str:
    state = "firing" if alert.ends_at_ms is None else "resolved"
    return "\n".join([f"{state.upper()}: {summary(alert)}", *_lines(alert), alert.source_url]).rstrip()


def _html(alert: Alert) -> str:
    state = "firing" if alert.ends_at_ms is None else "resolved"
    lines = "<br>".join(html.escape(line) for line in _lines(alert))
    link = f'<br><a href="{html.escape(alert.source_url)}">Open chart</a>' if alert.source_url else ""
    return f"<p><b>{state}: {html.escape(summary(alert))}</b><br>{lines}{link}</p>"
