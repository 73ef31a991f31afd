using System.Globalization;

namespace OnnxLlm.Training.Runs;

/// <summary>
/// The self-check of a resume: the loss of the next micro-batch beside the one that was recorded with the checkpoint. On the CPU their bits must be equal. A GPU
/// adds in no fixed order, and another one, or another driver, chooses other kernels, so there their difference is told and must be small.
/// </summary>
/// <param name="Step">Of the checkpoint.</param>
/// <param name="Expected">The bits that were recorded.</param>
/// <param name="Found">Those of now.</param>
/// <param name="OnGpu">Where the run computes.</param>
internal sealed record ResumeCheck(long Step, string? Expected, string Found, bool OnGpu)
{
    /// <summary>What one rounding to bfloat16 may be off; the mean over a micro-batch's tokens moves by less, where weights and data are what they were.</summary>
    public const double Allowed = 1.0 / 512;

    public bool Holds => Expected == Found || OnGpu && Difference <= Allowed;

    public string Text => $"resumed from step {Step}; the next loss " + (
        Expected == Found ? $"has the recorded bits, {Found}"
        : OnGpu && Expected is not null ? string.Create(CultureInfo.InvariantCulture, $"is {Loss(Found):G9}, {Loss(Expected):G9} was recorded: they differ by {Difference:E1}, allowed is {Allowed:E1}")
        : $"has the bits {Found}, {Expected} were recorded");

    /// <summary>Relative; NaN, which is within no limit, where one is none.</summary>
    private double Difference => Expected is null ? double.NaN : Math.Abs((double)Loss(Found) - Loss(Expected)) / Math.Abs(Loss(Expected));

    private static float Loss(string bits) => BitConverter.UInt32BitsToSingle(uint.Parse(bits, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
}
