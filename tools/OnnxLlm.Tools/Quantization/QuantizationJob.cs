namespace OnnxLlm.Tools.Quantization;

/// <summary>What <c>quantize</c> is asked to do.</summary>
internal sealed record QuantizationJob
{
    /// <summary>Folder of the float package.</summary>
    public required string Source { get; init; }

    /// <summary>Folder of the package to be written.</summary>
    public required string Target { get; init; }

    /// <summary>Folder of token shards; the validation split decides. Null: text that the model writes itself.</summary>
    public string? Data { get; init; }

    /// <summary>Largest relative growth of the perplexity that is accepted.</summary>
    public double MaxPerplexityLoss { get; init; } = 0.01;

    public QuantizationSettings Settings { get; init; } = new();

    /// <summary>Validation tokens that both models are scored on.</summary>
    public int Tokens { get; init; } = 32768;

    /// <summary>Threads of the runtime; 0 = all cores.</summary>
    public int Threads { get; init; }
}
