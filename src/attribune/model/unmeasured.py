"""What SDKs that ask are told of a device of which nothing is measured."""

from __future__ import annotations

from typing import Final

#: The answer about a device whose person refused to be measured: decided, and it says nothing of them. It stands until the
#: person allows it, so who asks for an open that was just told may wait for another.
NOT_MEASURED: Final = (
    b'{"status":"decided","attribution":{"partner":null,"campaign":null,"adgroup":null,"creative":null,"site_id":null,"link":null,"touch":null,'
    b'"method":null,"is_organic":true,"click_at":null,"extra":{}},"deep_link":null,"measurement":false}'
)

#: The answer about a device whose person was forgotten. It stands for good.
FORGOTTEN: Final = NOT_MEASURED[:-1] + b',"forgotten":true}'
