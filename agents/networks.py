"""Networks that a credential may be used from, and which addresses are public. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST = 50
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_FOR_EVERYBODY = tuple(
    ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
)
"""Public by their number, yet answered by what stands next to a server: protocols of the provider's own network
(where one cloud keeps its metadata), outdated relays, and the host that another cloud's machines speak to."""
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6 for the Internet; what lies beside it is local or outdated, such as `::127.0.0.1`."""
_METADATA = tuple(ipaddress.ip_network(one) for one in ("169.254.169.254/32", "fd00:ec2::254/128"))
"""Where clouds hand a server its own credentials: nobody else's business, whatever network an admin opens."""
_SEPARATORS = re.compile(r"[\s,;]+")


def read(text: str) -> list[str]:
    """What is typed, one network a line or between commas, as CIDR. Raises `ValueError` with a sentence that names the
    first one that is none; a lone address is the network of that address."""
    return checked([part for part in _SEPARATORS.split(text) if part])


def checked(parts: Sequence[str]) -> list[str]:
    """The same for single ones, each once, in the order given."""
    if len(parts) > MOST:
        raise ValueError(f"{len(parts)} networks are given; at most {MOST} are taken.")
    return list(dict.fromkeys(str(_network(part)) for part in parts))


def _network(part: str) -> Network:
    try:
        found = ipaddress.ip_network(part)
    except ValueError as error:
        try:
            meant = ipaddress.ip_network(part, strict=False)
        except ValueError:
            words = f"“{part[:60]}” is no network. Write 203.0.113.0/24 or 2001:db8::/32, or one address."
            raise ValueError(words) from error
        raise ValueError(f"“{part}” names an address within a network. Write {meant}.") from error
    if found.prefixlen == 0:
        raise ValueError(f"{found} is every address. Leave the field empty for that.")
    return found


def parsed(stored: Iterable[str]) -> tuple[Network, ...]:
    """Stored networks, ready to be compared."""
    return tuple(ipaddress.ip_network(one) for one in stored)


def cover(networks: Sequence[Network], address: str) -> bool:
    """Whether an address lies in one of them; none is everywhere. What is no address lies in none.

    An IPv4 address that a dual-stack socket shows as IPv6 (`::ffff:203.0.113.7`) is that IPv4 address."""
    if not networks:
        return True
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet, whichever way it is written."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _within(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _UNICAST:
            return False
    if isinstance(ip, ipaddress.IPv4Address) and any(ip in one for one in _NOT_FOR_EVERYBODY):
        return False
    return ip.is_global and not ip.is_multicast


def is_metadata(address: str) -> bool:
    """Whether a cloud's metadata is there, whichever way the address is written."""
    ip = ipaddress.ip_address(address.split("%")[0])
    inner = _within(ip) if isinstance(ip, ipaddress.IPv6Address) else None
    return any((inner or ip) in one for one in _METADATA)


def _within(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.split("%")[0]).is_loopback
