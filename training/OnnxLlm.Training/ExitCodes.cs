namespace OnnxLlm.Training;

/// <summary>What the process says when it ends.</summary>
internal static class ExitCodes
{
    public const int Finished = 0;

    /// <summary>A mistake of the user or the surroundings, explained in one line.</summary>
    public const int Mistake = 2;

    /// <summary>Loss or gradient stayed not finite.</summary>
    public const int Diverged = 3;

    /// <summary>Stopped on request after a checkpoint: "resume me" (EX_TEMPFAIL of sysexits.h).</summary>
    public const int ResumeMe = 75;
}
