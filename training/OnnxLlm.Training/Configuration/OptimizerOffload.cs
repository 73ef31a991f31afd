namespace OnnxLlm.Training.Configuration;

/// <summary>Where the optimizer's state is between updates.</summary>
public enum OptimizerOffload
{
    /// <summary>In working memory, as everything else.</summary>
    None,

    /// <summary>In a mapped file of the run's folder; an update brings a few parameters' state into memory at a time.</summary>
    Disk,
}
