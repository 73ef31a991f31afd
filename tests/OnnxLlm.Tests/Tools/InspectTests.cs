using OnnxLlm.Graphs.Functions;
using OnnxLlm.Tools;

namespace OnnxLlm.Tests.Tools;

public sealed class InspectTests
{
    [Fact]
    public void InspectOps_PrintsEveryFunctionWithinTolerance()
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.Equal(ToolsProgram.Success, ToolsProgram.Run(["inspect", "ops"], output, error));
        string[] lines = output.ToString().Split('\n');
        Assert.All(FunctionList.All, function => Assert.Contains(lines, line => line.StartsWith($"{function.Name} ", StringComparison.Ordinal)));
        Assert.Contains(lines, line => line.StartsWith("MatMul ", StringComparison.Ordinal) && line.Contains("ai.onnx", StringComparison.Ordinal));
        Assert.Empty(error.ToString());
    }
}
