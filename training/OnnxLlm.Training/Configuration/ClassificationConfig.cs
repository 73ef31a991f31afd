namespace OnnxLlm.Training.Configuration;

/// <summary>How texts with labels are read for the objective classification.</summary>
public sealed record ClassificationConfig
{
    /// <summary>Folder of the tokenizer; the one in, or beside, the data where absent.</summary>
    public string? Tokenizer { get; init; }
}
