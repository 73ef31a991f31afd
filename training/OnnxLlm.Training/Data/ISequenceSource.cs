namespace OnnxLlm.Training.Data;

/// <summary>Sequences to train or to validate on, each made anew whenever it is asked for.</summary>
internal interface ISequenceSource
{
    /// <summary>T, the tokens of a full sequence.</summary>
    int Length { get; }

    long Count { get; }

    /// <summary>Each sequence has another that is to be written for it: of these, too, a model reads the tokens.</summary>
    bool HasTargets => false;

    /// <summary>Writes a sequence's ids and labels; returns how many labels are valid.</summary>
    /// <param name="draw">What is left to chance depends on this number.</param>
    int Fill(long sequence, long draw, BatchRow row);
}
