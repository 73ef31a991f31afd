using OnnxLlm.Graphs.Autodiff;

namespace OnnxLlm.Benchmarks.Memory;

/// <summary>One training run: the quickstart's config with a few changes.</summary>
internal sealed record MemoryCase(string Name, params IReadOnlyList<string> Changes)
{
    public static MemoryCase Quickstart { get; } = new("quickstart", "steps=24", "evaluate_every=12", "checkpoint_every=12", "schedule.warmup_steps=2");

    /// <summary>Deeper models and larger micro-batches, in which activations weigh more than state.</summary>
    public static IReadOnlyList<int> Depths { get; } = [4, 8, 12];

    public static MemoryCase Deep(int layers, ActivationCheckpointing kind, int steps) => new(
        FormattableString.Invariant($"{layers} layers, {kind.ToString().ToLowerInvariant()}"),
        FormattableString.Invariant($"model.num_hidden_layers={layers}"),
        $"activation_checkpointing={kind.ToString().ToLowerInvariant()}",
        "global_batch=8", "micro_batch=8", "schedule.warmup_steps=1", "evaluate_every=0", "evaluate_tokens=2048", "checkpoint_every=0",
        FormattableString.Invariant($"steps={steps}"));
}
