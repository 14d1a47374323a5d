"""An edge whose certificate ended keeps everything, and goes on with another one without a restart."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
import trustme

from gateway_core.errors import Unavailable
from gateway_core.model import Batch
from tests.edge_agent.egress.test_egress_uplink import reading, site
from tests.fakes.centre import fake_centre

ENDED = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.fault("F13")
async def test_an_edge_whose_certificate_ended_keeps_all_and_goes_on_with_another(
    tmp_path: Path,
) -> None:
    ca = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = tmp_path / "edge.pem"
    ended = ca.issue_cert("e1", not_before=ENDED - dt.timedelta(days=90), not_after=ENDED)
    ended.private_key_and_cert_chain_pem.write_to_path(own)
    async with fake_centre("127.0.0.1", tls) as centre:
        files = {"ca_file": tmp_path / "ca.pem", "cert_file": own}
        async with site(tmp_path, centre.url, **files) as one:
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await one.uplink.send(Batch(1, [reading(1)]))
            assert centre.records == {}
            ca.issue_cert("e1").private_key_and_cert_chain_pem.write_to_path(own)
            await one.uplink.send(Batch(1, [reading(1)]))
            assert (len(centre.records), centre.duplicates) == (1, 0)
