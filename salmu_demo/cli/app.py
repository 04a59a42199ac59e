"""`salmu-demo app`: start the app."""

import os
from typing import Annotated

from salmu_demo.cli.options import Commands, option

commands = Commands()


@commands.add("  salmu-demo app --port 8000 --root-path /demo\n  salmu-demo app --data official --data my-folder")
def _run(
    port: Annotated[
        int | None, option("--port", "port to listen on (default: PORT, or the first free one from 7860)", kind=int)
    ] = None,
    root_path: Annotated[
        str | None,
        option(
            "--root-path",
            "path below which another server offers the page, such as /demo (default: SALMU_ROOT_PATH, or none)",
            "PATH",
        ),
    ] = None,
    forwarded_allow_ips: Annotated[
        str | None,
        option(
            "--forwarded-allow-ips",
            "proxies, by address or network, that say this path in X-Forwarded-Prefix (default: "
            "SALMU_FORWARDED_ALLOW_IPS, or none)",
            "ADDRESS,…",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        option(
            "--data",
            "mini, clear-mini, official, a folder, or a Hub id (default: SALMU_DATA, or mini); named again, another "
            "that the page offers",
        ),
    ] = None,
) -> None:
    if port is not None:
        os.environ["PORT"] = str(port)
    if root_path is not None:
        os.environ["SALMU_ROOT_PATH"] = root_path
    if forwarded_allow_ips is not None:
        os.environ["SALMU_FORWARDED_ALLOW_IPS"] = forwarded_allow_ips
    # gradio takes seconds to import, and the help of this command does not need it.
    from salmu_demo.ui.app import main  # noqa: PLC0415

    main(data or ())
