using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Training;

/// <summary>Rows of a step: <paramref name="Batch"/> sequences of <paramref name="Time"/> tokens. Both are numbers in the graph.</summary>
public sealed record TrainingShape(int Batch, int Time)
{
    internal int Rows => Batch * Time;
}

/// <summary>One trainable tensor and the names that belong to it in the training graphs. The names are ORT Training's where it has one.</summary>
/// <param name="Name">Hugging Face's name.</param>
/// <param name="Decay">Weight decay applies: true for matrices, false for gains and biases.</param>
public sealed record ParameterInfo(string Name, ImmutableArray<long> Shape, bool Decay)
{
    public long Count => Shape.Aggregate(1L, (n, d) => n * d);

    /// <summary>Input of the step and optimizer graphs: the gradients summed so far.</summary>
    public string GradientBuffer => $"{Name}_grad.accumulation.buffer";

    /// <summary>Output of the step graph, to be bound to the same memory as <see cref="GradientBuffer"/>.</summary>
    public string GradientOutput => $"{Name}_grad.accumulation.out";

    /// <summary>AdamW's moving average of gradients.</summary>
    public string FirstMoment => $"{Name}.exp_avg";

    /// <summary>AdamW's moving average of squared gradients.</summary>
    public string SecondMoment => $"{Name}.exp_avg_sq";

    /// <summary>The optimizer graph's output for one of its state inputs (<see cref="Name"/> or a moment), to be bound to the same memory.</summary>
    public static string Updated(string state) => $"{state}.out";
}
