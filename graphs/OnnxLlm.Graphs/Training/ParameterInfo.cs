using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Training;

/// <summary>Rows of a step: <paramref name="Batch"/> sequences of <paramref name="Time"/> tokens. Both are numbers in the graph.</summary>
public sealed record TrainingShape(int Batch, int Time)
{
    internal int Rows => Batch * Time;
}

/// <summary>One tensor of the model's and the names that belong to it in the training graphs. The names are ORT Training's where it has one.</summary>
/// <param name="Name">Hugging Face's name.</param>
/// <param name="Decay">Weight decay applies: true for matrices, false for gains and biases.</param>
public sealed record ParameterInfo(string Name, ImmutableArray<long> Shape, bool Decay)
{
    /// <summary>False for a frozen tensor, which has neither gradient nor moments.</summary>
    public bool Trainable { get; init; } = true;

    public long Count => Shape.Aggregate(1L, (n, d) => n * d);

    /// <summary>Input of the step and optimizer graphs: the gradients summed so far.</summary>
    public string GradientBuffer => $"{Name}_grad.accumulation.buffer";

    /// <summary>Output of the step graph, to be bound to the same memory as <see cref="GradientBuffer"/>.</summary>
    public string GradientOutput => $"{Name}_grad.accumulation.out";

    /// <summary>The block that the parameter belongs to, from 0: the first number in its path. Null for embeddings, the last norm and the head.</summary>
    public int? Layer => Name.Split('.').FirstOrDefault(part => part.All(char.IsAsciiDigit)) is { } number
        ? int.Parse(number, System.Globalization.CultureInfo.InvariantCulture)
        : null;

    /// <summary>Adam's moving average of gradients.</summary>
    public string FirstMoment => $"{Name}.exp_avg";

    /// <summary>Adam's moving average of squared gradients.</summary>
    public string SecondMoment => $"{Name}.exp_avg_sq";

    /// <summary>The scale of each block of <see cref="FirstMoment"/>, where that is kept in 8 bits.</summary>
    public string FirstScale => $"{FirstMoment}.scale";

    /// <summary>The scale of each block of <see cref="SecondMoment"/>, where that is kept in 8 bits.</summary>
    public string SecondScale => $"{SecondMoment}.scale";

    /// <summary>The decaying sum of gradients of gradient descent with momentum, and of Muon.</summary>
    public string MomentumBuffer => $"{Name}.momentum_buffer";

    /// <summary>AdaGrad's sum of squared gradients.</summary>
    public string SquareSum => $"{Name}.sum";

    /// <summary>RMSProp's moving average of squared gradients.</summary>
    public string SquareAverage => $"{Name}.square_avg";

    /// <summary>Every tensor that some optimizer keeps for a parameter; which ones, its graph's inputs say. The names are PyTorch's.</summary>
    public IEnumerable<string> OptimizerStates => [FirstMoment, FirstScale, SecondMoment, SecondScale, MomentumBuffer, SquareSum, SquareAverage];

    /// <summary>The optimizer graph's output for one of its state inputs (<see cref="Name"/> or a moment), to be bound to the same memory.</summary>
    public static string Updated(string state) => $"{state}.out";
}
