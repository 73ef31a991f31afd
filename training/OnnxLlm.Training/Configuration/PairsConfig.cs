namespace OnnxLlm.Training.Configuration;

/// <summary>Of the objective seq2seq, whose data are texts and what is to be written for them.</summary>
public sealed record PairsConfig
{
    /// <summary>Folder of the tokenizer; the one in, or beside, the data where absent.</summary>
    public string? Tokenizer { get; init; }
}
