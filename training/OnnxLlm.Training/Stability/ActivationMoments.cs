namespace OnnxLlm.Training.Stability;

/// <summary>Of the output of every block: its mean, its standard deviation and its largest absolute value.</summary>
internal sealed record ActivationMoments(float[] Mean, float[] Deviation, float[] Max);
