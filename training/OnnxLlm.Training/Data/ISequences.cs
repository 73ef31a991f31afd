namespace OnnxLlm.Training.Data;

/// <summary>What a model is trained on or validated with, sequence by sequence.</summary>
internal interface ISequences
{
    /// <summary>T, the tokens of a full sequence.</summary>
    int Length { get; }

    /// <summary>Labels of a sequence: T, or one.</summary>
    int Labels { get; }

    /// <summary>Each sequence has another that is to be written for it: of these, too, a model reads the tokens.</summary>
    bool HasTargets => false;

    long Count { get; }

    /// <summary>Writes a sequence's ids and labels; returns how many labels are valid.</summary>
    /// <param name="draw">What chance decides about the sequence depends on this number.</param>
    int Fill(long sequence, long draw, BatchRow row);
}

/// <summary>Sequences that are whole texts; of those that are too long the end is left out.</summary>
internal interface ITextSequences : ISequences
{
    /// <summary>Of all texts together.</summary>
    long Tokens { get; }

    /// <summary>Texts whose end was left out.</summary>
    int Shortened { get; }
}
