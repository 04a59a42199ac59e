"""Measure an open_clip network after every epoch of a training loop, without writing a file.

It fine-tunes the Compromised model of SALMU-Mini on pairs that hold nothing private, the weakest way to forget, and
prints how much of the leak is left. On two cores the defaults take a few minutes.

    python examples/evaluate_in_training_loop.py --epochs 2
"""

import argparse

import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer

import salmu_demo

METRICS = ["RetFail", "AssocStr", "GenKnow"]


def main(arguments: list[str] | None = None) -> salmu_demo.Results:
    """Train, measure after each epoch, and return the results of all epochs side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=512, help="pairs of an epoch")
    parser.add_argument("--sample", type=int, default=400, help="forget rows that are measured")
    options = parser.parse_args(arguments)

    data = salmu_demo.load_data("mini")
    # Any network of open_clip will do: this one comes with salmu-demo, and has a small vocabulary of its own.
    folder = salmu_demo.load_model("mini-compromised").weights.parent
    network, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = SimpleTokenizer(str(folder / "bpe_merges.txt.gz"), context_length=network.context_length)
    model = salmu_demo.load_model(network, preprocess=preprocess, tokenizer=tokenizer, name="in training")

    references = ["mini-clean", "mini-compromised"]
    results = [salmu_demo.evaluate([*references, model], data, METRICS, sample=options.sample)]
    retain = data.split("retain_synth")
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    torch.manual_seed(0)
    for epoch in range(1, options.epochs + 1):
        network.train()
        for rows in torch.randperm(len(retain))[: options.pairs].split(64):
            images = torch.stack([preprocess(data.image("retain_synth", int(row))) for row in rows])
            texts = tokenizer([retain.texts[row] for row in rows])
            images, captions, scale = network(images, texts)
            logits = scale * images @ captions.T
            truth = torch.arange(len(rows))
            cross_entropy = torch.nn.functional.cross_entropy
            loss = (cross_entropy(logits, truth) + cross_entropy(logits.T, truth)) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        results.append(salmu_demo.evaluate([*references, model], data, METRICS, sample=options.sample))
        values = results[-1].to_frame().query("model == 'in training'").set_index("metric")["value"]
        print(f"epoch {epoch}: loss {loss.item():.3f}", *(f"{name} {values[name]:.4f}" for name in METRICS))
    # The same network at several moments: the start of its fingerprint tells them apart.
    return salmu_demo.compare(*results)


if __name__ == "__main__":
    print(main())
