"""What other products' requests mean here, and what our answers mean there: pure, but for `seen`.

`verdicts` is the one rule of what an agent may be told; `agent_inbox`, `human_layer` and `authzen` put it into the form
that each of them documents. Nothing of them decides anything: what comes in goes the way of every proposal."""
