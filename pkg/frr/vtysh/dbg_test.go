package vtysh
import ("testing";"metallb.io/metallb-frr/pkg/frr/frrtest")
func TestDbg(t *testing.T){
 f := frrtest.Start(t, frrtest.Options{})
 d := driver(t, f, Options{})
 _, err := d.apply(t.Context(),document(2))
 t.Log(err)
 t.Log(f.Log())
}
