using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Engine;

/// <summary>Binds every input and output of a session by name; an output that is updated in place gets the buffer of its input.</summary>
internal static class Binding
{
    public static BoundSession Of(OrtSession session, IEnumerable<(string Input, string Output)> inPlace, Func<string, TensorBuffer> tensor)
    {
        var inputOf = inPlace.ToDictionary(pair => pair.Output, pair => pair.Input);
        var bound = session.Bind();
        foreach (var input in session.Inputs) bound.Input(input.Name, tensor(input.Name));
        foreach (var output in session.Outputs) bound.Output(output.Name, tensor(inputOf.GetValueOrDefault(output.Name, output.Name)));
        return bound;
    }
}
