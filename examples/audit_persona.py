"""What do models still know about one invented persona, and where does its face lead?

python examples/audit_persona.py mini-clean mini-compromised --persona 00000024
"""

import argparse

import salmu_demo


def main(arguments: list[str] | None = None) -> salmu_demo.Audit:
    """Print the audit and what the persona's face retrieves, and return the audit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["mini-clean", "mini-compromised"])
    parser.add_argument("--persona", help="its id (default: the first of the data)")
    options = parser.parse_args(arguments)

    data = salmu_demo.load_data("mini")
    persona = data.persona(options.persona) if options.persona else data.personas[0]
    audit = salmu_demo.audit(persona, options.models, data)
    frame = audit.to_frame()
    print(f"{persona.name} ({persona.identity_id})\n")
    print(frame.pivot(index="kind", columns="model", values="verdict").to_string())
    leaks = frame[frame["verdict"] == "leaks"]
    print(f"\n{len(leaks)} of {len(frame)} attributes leak.\n")
    print(salmu_demo.probe(persona, options.models, data, k=3).to_frame()[["model", "rank", "score", "text"]])
    return audit


if __name__ == "__main__":
    main()
