namespace OnnxLlm.Training.Data;

/// <summary>What a model is trained on or validated with, sequence by sequence.</summary>
internal interface ISequences
{
    /// <summary>T, the tokens of a full sequence.</summary>
    int Length { get; }

    /// <summary>Labels of a sequence: T, or one.</summary>
    int Labels { get; }

    long Count { get; }

    /// <summary>Writes a sequence's ids and labels; returns how many labels are valid.</summary>
    /// <param name="draw">What chance decides about the sequence depends on this number.</param>
    int Fill(long sequence, long draw, BatchRow row);
}
