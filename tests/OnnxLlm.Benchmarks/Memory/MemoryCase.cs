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

    /// <summary>Few tokens and many weights: what is left of memory is mostly state.</summary>
    public static MemoryCase Offloaded(string offload, int steps) => new(
        $"optimizer_offload {offload}", $"optimizer_offload={offload}", "model.num_hidden_layers=12", "model.hidden_size=384", "model.intermediate_size=1024", "activation_checkpointing=block",
        "global_batch=2", "micro_batch=2", "schedule.warmup_steps=1", "evaluate_every=0", "evaluate_tokens=512", "checkpoint_every=0",
        FormattableString.Invariant($"steps={steps}"));
}
